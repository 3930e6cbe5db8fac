import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { OPERATIONS_COUNT_MAX, REPEAT_MS_MAX } from "../../core/limits.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { DoneOperations, GRANT_MS } from "../../replica/done-operations.ts";
import { START } from "./probe.ts";

const dot = { actor: "AAAAAAAA", counter: 1 };
/** The replica's own time; START is what its wall clock shows all along. */
const NOW = 1_000_000;
const version = (op: string) => ({ op, dot, time: hlcFromMillis(START) });
const by = (id: string, begunAt = NOW) => ({ by: id, begunAt });

describe("what was stored of operations", () => {
  it("is known as it was first", () => {
    const done = new DoneOperations();
    done.note(version("a"), START);
    done.note({ ...version("a"), dot: { ...dot, counter: 2 } }, START);
    expect(done.find("a")).toEqual({ dot, time: hlcFromMillis(START) });
    expect(done.find("b")).toBeNull();
  });

  it("is remembered for as long as somebody may repeat it, and then forgotten", () => {
    const done = new DoneOperations();
    done.begin(NOW);
    done.note(version("a"), START);
    done.advance(NOW + REPEAT_MS_MAX);
    done.note(version("b"), START);
    expect(done.find("a")).not.toBeNull();
    done.advance(NOW + 2 * REPEAT_MS_MAX);
    expect([done.find("a"), done.find("b") !== null, done.size]).toEqual([null, true, 1]);
  });

  it("takes no room for what is older than any repeat: a transfer of all keys", () => {
    const done = new DoneOperations();
    done.note(version("a"), START + 3_600_000);
    expect(done.size).toBe(0);
  });

  it("is bounded, and says of what it may have dropped that it cannot tell", () => {
    const done = new DoneOperations();
    done.begin(NOW);
    const count = 2 * OPERATIONS_COUNT_MAX + 10;
    for (let i = 0; i < count; i++) {
      done.advance(NOW + i / 100);
      done.note(version(`op${i}`), START);
    }
    expect(done.size).toBeLessThanOrEqual(2 * OPERATIONS_COUNT_MAX);
    expect(done.find("op0")).toBeNull();
    expect(done.grant("op0", by("r2"))).toBe(false);
    expect(done.grant("new", by("r2", NOW + count / 100 - 10))).toBe(true);
  });
});

describe("nothing stored of an operation", () => {
  it("is said by nobody who has begun since", () => {
    const done = new DoneOperations();
    done.begin(NOW);
    expect(done.grant("a", by("r1", NOW - 1))).toBe(false);
    expect(done.grant("a", by("r1", NOW))).toBe(true);
  });

  it("is told to one at a time, who has a while to mint it", () => {
    const done = new DoneOperations();
    done.begin(NOW);
    expect(done.grant("a", by("r1"))).toBe(true);
    done.advance(NOW + GRANT_MS);
    expect(done.grant("a", by("r2"))).toBe(false);
    expect(done.grant("a", by("r1"))).toBe(true);
    done.advance(NOW + 2 * GRANT_MS + 1);
    expect(done.grant("a", by("r2"))).toBe(true);
  });
});

describe("versions of a key that are known by hearsay", () => {
  it("leave open what was stored of operations that began before", () => {
    const done = new DoneOperations();
    done.begin(NOW);
    expect(done.isHearsay("k", NOW)).toBe(false);
    done.advance(NOW + 10);
    done.hear("k");
    expect([done.isHearsay("k", NOW + 10), done.isHearsay("k", NOW + 11)]).toEqual([true, false]);
    expect(done.isHearsay("other", NOW)).toBe(false);
  });

  it("are forgotten of many keys only where nothing can be told any more", () => {
    const done = new DoneOperations();
    done.begin(NOW);
    const count = 2 * OPERATIONS_COUNT_MAX + 10;
    for (let i = 0; i < count; i++) {
      done.advance(NOW + i / 100);
      done.hear(`k${i}`);
    }
    expect(done.size).toBeLessThanOrEqual(2 * OPERATIONS_COUNT_MAX);
    expect(done.isHearsay("k0", NOW)).toBe(false);
    expect(done.grant("a", by("r1", NOW))).toBe(false);
    expect(done.isHearsay(`k${count - 1}`, NOW)).toBe(true);
  });
});

describe("a version of which a second one may be about", () => {
  const covers = CausalContext.empty.with(dot);
  const sibling = { ...version("a"), expiresAt: 0, content: null };

  it("is one that its quorum has not acknowledged", () => {
    const done = new DoneOperations();
    done.note(sibling, START);
    expect(done.doubtfulIn([sibling], covers)).toEqual([]);
    done.setOpen("a", true);
    expect(done.doubtfulIn([sibling], covers)).toEqual([sibling]);
    expect(done.doubtfulIn([sibling], CausalContext.empty)).toEqual([]);
    done.setOpen("a", false);
    expect(done.doubtfulIn([sibling], covers)).toEqual([]);
  });

  it("is one for which somebody has asked before it came", () => {
    const done = new DoneOperations();
    done.grant("a", by("r2"));
    done.note(sibling, START);
    done.setOpen("a", false);
    expect(done.doubtfulIn([sibling], covers)).toEqual([sibling]);
  });
});
