/** When the streams of one frontend look again. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FeedLooks } from "../../src/frontend/feed/feed-looks.ts";

const pauses = { leastMs: 20, msPerChange: 0.25, mostMs: 80 };

/** After how many ms the next turn comes for a stream that was told so many changes. */
async function pauseAfter(changesCount: number): Promise<number> {
  const looks = new FeedLooks(pauses);
  let isOver = false;
  void looks.nextTurn("n", changesCount).then(() => {
    isOver = true;
  });
  for (let ms = 0; ms <= 1000; ms++) {
    if (isOver) return ms;
    await vi.advanceTimersByTimeAsync(1);
  }
  throw new Error("never");
}

describe("the pause after a look", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is the longer the more it found, within bounds", async () => {
    expect(await pauseAfter(0)).toBe(20);
    expect(await pauseAfter(40)).toBe(30);
    expect(await pauseAfter(240)).toBe(80);
    expect(await pauseAfter(10_000)).toBe(80);
  });

  it("ends at once for all of a namespace, and for no other one", async () => {
    const looks = new FeedLooks(pauses);
    const over: string[] = [];
    const wait = (name: string, namespace: string, changesCount: number): void => {
      void looks.nextTurn(namespace, changesCount).then(() => void over.push(name));
    };
    wait("first", "busy", 200);
    wait("quiet", "calm", 1);
    await vi.advanceTimersByTimeAsync(50);
    wait("second", "busy", 1);
    expect(over).toEqual(["quiet"]);
    await vi.advanceTimersByTimeAsync(20);
    expect(over).toEqual(["quiet", "first", "second"]);
    wait("third", "busy", 0);
    await vi.advanceTimersByTimeAsync(20);
    expect(over.at(-1)).toBe("third");
  });
});
