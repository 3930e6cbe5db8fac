/**
 * Bytes that stream through a process are garbage as soon as they are sent, and V8 lets 64 MiB and
 * more of them lie before it looks: what JavaScript itself holds of them is small, and only that
 * fills the young generation. So it is told to look, each time that some MiB were made. All that
 * has just died is young, so a look takes a millisecond or two. What is alive at two looks counts
 * as old, and stays until V8 looks at everything.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Garbage } from "../../door/ports.ts";

/** Bytes that are made between two looks. */
const LOOK_BYTES = 8 * 1024 * 1024;

type Collect = (options: { readonly type: "minor" }) => void;

function collector(): Collect | null {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  return typeof collect === "function" ? (collect as Collect) : null;
}

let collect: Collect | null | undefined;

/**
 * Makes ready to look. It takes a context of V8's own, some milliseconds and MiB: better while a
 * door starts than amid its first long body.
 */
export function readyToLook(): void {
  collect ??= collector();
}

/** Of all bodies together: there is one heap. */
let madeByteCount = 0;

export const youngGarbage: Garbage = {
  made: (byteCount) => {
    madeByteCount += byteCount;
    return madeByteCount >= LOOK_BYTES;
  },
  collect: () => {
    madeByteCount = 0;
    readyToLook();
    collect?.({ type: "minor" });
  },
};
