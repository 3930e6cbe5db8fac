import { describe, expect, it } from "vitest";
import { youngGarbage } from "../../src/local/cache/young-garbage.ts";

const MIB = 1024 * 1024;

/** Bytes that came by and that nobody holds any more. */
function stream(mib: number): void {
  for (let i = 0; i < mib; i++) {
    const bytes = new Uint8Array(MIB);
    if (youngGarbage.made(bytes.length)) youngGarbage.collect();
  }
}

describe("bytes that come by", () => {
  it("are given back to the system while they come: no more of them lie about than some MiB", () => {
    stream(8);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (let i = 0; i < 256; i++) {
      stream(1);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(most / MIB).toBeLessThan(32);
  });
});
