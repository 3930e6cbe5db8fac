/**
 * Bytes that stream through a process are garbage as soon as they are sent, and V8 lets 64 MiB and
 * more of them lie before it looks: what JavaScript itself holds of them is small, and only that
 * fills the young generation. So it is told to look, each time that some MiB have come by. What has
 * just died is all young: a look takes a millisecond or two.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Bytes that come by between two looks. Where they are stored, three copies are made of each. With
 * twice as many V8 looks before that, and at everything, which costs more and keeps what is under
 * way until its next time.
 */
const LOOK_BYTES = 4 * 1024 * 1024;

type Collect = (options: { readonly type: "minor" }) => void;

function collector(): Collect | null {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  return typeof collect === "function" ? (collect as Collect) : null;
}

let collect: Collect | null | undefined;
let byteCount = 0;

/** To be told of bytes that came from an origin. */
export function passedBy(bytes: number): void {
  byteCount += bytes;
  if (byteCount < LOOK_BYTES) return;
  byteCount = 0;
  collect ??= collector();
  collect?.({ type: "minor" });
}
