import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { boundedLog } from "../../src/local/process/bounded-log.ts";

describe("a bounded log", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("writes so many lines of an event and peer, and then the last with how many there were", () => {
    const lines: string[] = [];
    const log = boundedLog((event, fields) => lines.push(`${event} ${JSON.stringify(fields)}`), {
      ...{ linesMax: 2, periodMs: 1000 },
    });
    for (const reason of [1, 2, 3, 4]) log("malformed-frame", { peer: "r2", reason });
    log("malformed-frame", { peer: "r3", reason: 5 });
    log("peer-connected", { peer: "r2" });
    expect(lines.splice(0)).toEqual([
      'malformed-frame {"peer":"r2","reason":1}',
      'malformed-frame {"peer":"r2","reason":2}',
      'malformed-frame {"peer":"r3","reason":5}',
      'peer-connected {"peer":"r2"}',
    ]);
    vi.advanceTimersByTime(1000);
    expect(lines.splice(0)).toEqual(['malformed-frame {"peer":"r2","reason":4,"leftOut":2}']);
    log("malformed-frame", { peer: "r2", reason: 6 });
    expect(lines).toEqual(['malformed-frame {"peer":"r2","reason":6}']);
  });

  it("keeps no process alive", () => {
    const timer = vi.spyOn(globalThis, "setTimeout");
    boundedLog(() => {})("peer-silent", { peer: "r2" });
    expect(timer.mock.results[0]?.value.hasRef()).toBe(false);
  });
});
