import { describe, expect, it } from "vitest";
import { REPEAT_MS_MAX } from "../../core/limits.ts";
import { CLOCK_SKEW_MS_MAX } from "../../core/time.ts";
import type { Keeper } from "../../replica/keeper.ts";
import { KEY, START } from "../laws/replica.ts";
import { held, learn, newKeeper, put } from "./keeping.ts";

describe("a keeper that learns of versions by their dots alone", () => {
  const isHearsay = (keeper: Keeper): boolean => keeper.operations.isHearsay(KEY, 0);
  /** The second of two writes, without the first. */
  function peerWithSuccessor(): Keeper {
    const peer = newKeeper();
    put(peer);
    put(peer);
    return peer;
  }

  it("notes so, be it an entry that came, as a hint too, or a client's write that says it", () => {
    const { context } = held(peerWithSuccessor());
    for (const hintFor of [null, "r9"]) {
      const keeper = newKeeper();
      learn(keeper, held(peerWithSuccessor()), hintFor);
      expect(isHearsay(keeper)).toBe(true);
    }
    const minting = newKeeper();
    put(minting, { covers: context });
    expect(isHearsay(minting)).toBe(true);
  });

  it("tells nothing apart from that where each version came by itself", () => {
    const peer = newKeeper();
    const keeper = newKeeper();
    for (let i = 0; i < 3; i++) {
      put(peer);
      learn(keeper, held(peer));
    }
    put(keeper, { covers: held(peer).context });
    expect(isHearsay(keeper)).toBe(false);
    // The record beside the hint holds what the hint covers.
    learn(keeper, held(peer), "r9");
    expect(isHearsay(keeper)).toBe(false);
  });

  it("leaves aside what is older than any repeat", () => {
    const keeper = newKeeper();
    learn(
      keeper,
      held(peerWithSuccessor()),
      null,
      START + CLOCK_SKEW_MS_MAX + REPEAT_MS_MAX + 1000,
    );
    expect(isHearsay(keeper)).toBe(false);
  });
});
