/** What long values leave in memory, as V8's young collections see it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { encodeMinted } from "../../core/entry-codec.ts";
import { Mintings } from "../../core/mintings.ts";
import type { Bytes } from "../../core/pieces.ts";

const MIB = 1024 * 1024;
const PIECE_BYTES = MIB / 2;
const PIECES_COUNT = 64;
const PIECES_PER_LOOK = 4;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const buffersMib = (): number => process.memoryUsage().arrayBuffers / MIB;

function collector(): (options?: { readonly type: "minor" }) => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("globalThis.gc") as ReturnType<typeof collector>;
}

function encodedPiece(counter: number): Bytes {
  const dot = { actor: "actor001", counter };
  const content = {
    ...{ value: new Uint8Array(PIECE_BYTES), contentType: "text/plain", tags: [] },
    ...{ contentEncoding: null, contentLanguage: null, contentDisposition: null, metadata: null },
  };
  const sibling = { dot, time: counter, op: "op", expiresAt: 0, content };
  const context = CausalContext.empty.with(dot);
  const entry = { context, siblings: [sibling], retries: [] };
  const tenure = { actor: dot.actor, incarnation: 1, minted: Mintings.none };
  const minting = { op: "op", dot, time: counter };
  return encodeMinted(entry, tenure, { minting, bounds: { before: 0, countMax: 32 } }).bytes;
}

it("lets the next young collection free encoded values that were in use at the last one", async () => {
  const collect = collector();
  const inUse = [encodedPiece(1)];
  collect();
  collect();
  await turn();
  const before = buffersMib();
  let most = 0;
  for (let i = 1; i <= PIECES_COUNT; i++) {
    inUse.push(encodedPiece(i));
    if (inUse.length > PIECES_PER_LOOK) inUse.shift();
    if (i % PIECES_PER_LOOK !== 0) continue;
    await turn();
    collect({ type: "minor" });
    await turn();
    most = Math.max(most, buffersMib() - before);
  }
  // Of 32 MiB: what is in use, and as much again that was until just now.
  expect(most).toBeLessThan((3 * PIECES_PER_LOOK * PIECE_BYTES) / MIB);
});
