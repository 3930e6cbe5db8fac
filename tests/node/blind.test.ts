/**
 * A write without a context covers what was answered before it began, even where its coordinator
 * missed that: the replicas that acknowledge it say what they held.
 */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { type Entry, overtake } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import { SIBLINGS_COUNT_DEFAULT } from "../../core/limits.ts";
import type { Message } from "../../core/messages.ts";
import type { Result } from "../../core/results.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { plainContent } from "../support/content.ts";
import { Group, writeOf } from "./group.ts";
import { nameWhere } from "./keys.ts";

const AWHILE_MS = 100;
const isStore = ({ body }: Message): boolean => body.kind === "store";
const isAck = ({ body }: Message): boolean => body.kind === "stored" || body.kind === "storedWith";

/** The lengths of a key's values at every place that holds any, read without a client's read. */
function lengthsAt(group: Group, id: string, name: string): readonly number[] {
  const { keeper } = group.node(id).service ?? {};
  const entry: Entry | undefined = keeper?.hold(`demo\0${name}`).entry;
  return (entry?.siblings ?? []).flatMap(({ content }) => (content ? [content.value.length] : []));
}
const liveAt = (group: Group, name: string): readonly (readonly number[])[] =>
  group.ids.map((id) => lengthsAt(group, id, name));

/** Three replicas, of which r2 has not heard of what the two others have answered. */
function apart(): Group {
  const group = new Group({ count: 3 });
  group.loses = (message, to) => to === "r2" && isStore(message);
  group.put("r1", "k", 5);
  group.loses = () => false;
  expect(lengthsAt(group, "r2", "k")).toEqual([]);
  return group;
}

describe("a write without a context through a replica that missed what was there", () => {
  it("deletes what the others hold", () => {
    const group = apart();
    expect(group.remove("r2", "k").kind).toBe("written");
    expect(liveAt(group, "k")).toEqual([[], [], []]);
  });

  it("replaces it, and is the only value", () => {
    const group = apart();
    expect(group.put("r2", "k", 7)).toMatchObject({ kind: "written", siblingCount: 1 });
    expect(liveAt(group, "k")).toEqual([[7], [7], [7]]);
  });

  it("replaces it as well when that has a later time: by another version, above it", () => {
    const group = apart();
    // The clock of r2 is behind, and it has not heard of the other.
    group.wallOffMs.set("r2", -5000);
    expect(group.put("r2", "k", 7).kind).toBe("written");
    expect(liveAt(group, "k")).toEqual([[7], [7], [7]]);
    expect(group.remove("r3", "k").kind).toBe("written");
    expect(liveAt(group, "k")).toEqual([[], [], []]);
  });

  it("is answered when a quorum has the cover, and not before", () => {
    const group = apart();
    let stores = 0;
    group.holdsBack = (message, to) => to !== "r2" && isStore(message) && ++stores > 2;
    const token = group.begin("r2", writeOf("k", null));
    expect(stores).toBe(4);
    expect(group.answerOf(token)).toBeUndefined();
    group.letGo();
    expect(group.answerOf(token)?.kind).toBe("written");
  });

  it("with a context leaves beside it what that does not name", () => {
    const group = apart();
    const got = group.read("r1", "other", 1);
    expect(group.execute("r2", writeOf("k", 7, got.context)).kind).toBe("written");
    expect(lengthsAt(group, "r1", "k")).toHaveLength(2);
  });
});

describe("a write without a context that its coordinator takes for late", () => {
  const isCoordination = ({ type, body }: Message): boolean =>
    type === "request" && body.kind === "coordinate";

  /**
   * r4 does not own the key, and its clock is behind those of its coordinators. The first one to
   * coordinate for it has missed what the others answered.
   */
  function late(): { group: Group; name: string; owners: readonly string[]; first: string } {
    const group = new Group({ count: 4 });
    const name = nameWhere(group.node("r4").knowledge.ring, (ids) => !ids.includes("r4"));
    let first = "";
    group.loses = (message, to) => {
      if (isCoordination(message)) first = to;
      return false;
    };
    group.remove("r4", name);
    const owners = ["r1", "r2", "r3"];
    const [other = ""] = owners.filter((id) => id !== first);
    group.loses = (message, to) => to === first && isStore(message);
    group.put(other, name, 5);
    group.loses = () => false;
    expect(lengthsAt(group, first, name)).toEqual([]);
    group.wallOffMs.set("r4", -2000);
    return { group, name, owners, first };
  }
  const valuesOf = ({ group, name, owners }: ReturnType<typeof late>) =>
    owners.map((id) => lengthsAt(group, id, name));

  it("deletes what the others hold all the same", () => {
    const of = late();
    expect(of.group.remove("r4", of.name).kind).toBe("written");
    expect(valuesOf(of)).toEqual([[], [], []]);
  });

  it("replaces it, also when that has a later time", () => {
    for (const offMs of [0, -5000]) {
      const of = late();
      of.group.wallOffMs.set(of.first, offMs);
      of.group.wallOffMs.set("r4", offMs - 2000);
      expect(of.group.put("r4", of.name, 7).kind).toBe("written");
      expect(valuesOf(of)).toEqual([[7], [7], [7]]);
    }
  });

  it("replaces what has come to its coordinator since it was asked about", () => {
    const of = late();
    const { group, name, first, owners } = of;
    group.holdsBack = ({ body }) => body.kind === "overdue";
    const token = group.begin("r4", writeOf(name, 7));
    const [other = ""] = owners.filter((id) => id !== first);
    group.read(other, name, 3);
    expect(lengthsAt(group, first, name)).toEqual([5]);
    group.letGo();
    expect(group.answerOf(token)?.kind).toBe("written");
    expect(valuesOf(of)).toEqual([[7], [7], [7]]);
  });

  /**
   * Goes as far as its question whether anybody still waits: it has learnt what the others hold.
   */
  function asking() {
    const { group, name, first, owners } = late();
    group.loses = (message, to) => to !== first && isCoordination(message);
    let asked = 0;
    group.holdsBack = ({ body }) => body.kind === "overdue" && ++asked > 1;
    const token = group.begin("r4", writeOf(name, 7));
    expect([asked, group.answerOf(token)]).toEqual([2, undefined]);
    const others = owners.filter((id) => id !== first);
    return { group, token, values: () => others.map((id) => lengthsAt(group, id, name)) };
  }

  it("covers what others hold when it is known that somebody still waits", () => {
    const { group, token, values } = asking();
    for (const lengths of values()) expect(lengths).toContain(5);
    group.letGo();
    expect(group.answerOf(token)?.kind).toBe("written");
    expect(values()).toEqual([[7], [7]]);
  });

  it("covers nothing of that when nobody does", () => {
    const { group, token, values } = asking();
    group.pass(2500);
    expect(group.answerOf(token)?.kind).toBe("failed");
    group.letGo();
    group.pass(AWHILE_MS);
    for (const lengths of values()) expect(lengths).toContain(5);
  });
});

describe("a write without a context that a second coordinator finds done", () => {
  /** The coordinator that is asked first has missed what was answered, and hears nobody. */
  function adopted(offMs: number) {
    const group = new Group({ count: 4 });
    const name = nameWhere(group.node("r4").knowledge.ring, (ids) => !ids.includes("r4"));
    const asked: string[] = [];
    group.loses = ({ type, body }, to) => {
      if (type === "request" && body.kind === "coordinate") asked.push(to);
      return false;
    };
    group.remove("r4", name);
    const [first = ""] = asked.splice(0);
    const owners = ["r1", "r2", "r3"];
    const [other = ""] = owners.filter((id) => id !== first);
    group.loses = (message, to) => to === first && isStore(message);
    group.put(other, name, 5);
    group.now += 5;
    group.wallOffMs.set(first, offMs);
    group.loses = (message, to) => {
      if (message.type === "request" && message.body.kind === "coordinate") asked.push(to);
      return to === first && isAck(message);
    };
    const result = group.put("r4", name, 7);
    expect([result.kind, asked.length, asked[0]]).toEqual(["written", 3, first]);
    return { values: owners.map((id) => lengthsAt(group, id, name)), result };
  }

  it("replaces what was answered before it, once it is known that somebody still waits", () => {
    const { values, result } = adopted(0);
    expect(values).toEqual([[7], [7], [7]]);
    expect(result).toMatchObject({ siblingCount: 1 });
  });

  it("replaces it as well when that has a later time", () => {
    expect(adopted(-5000).values).toEqual([[7], [7], [7]]);
  });
});

describe("two writes without a context at the same time", () => {
  it("never lose both", () => {
    for (const [first, second] of [
      ["r1", "r2"],
      ["r2", "r1"],
    ] as const) {
      const group = new Group({ count: 3 });
      group.holdsBack = isStore;
      group.begin(first, writeOf("k", 5));
      group.now += 3;
      group.begin(second, writeOf("k", 7));
      group.letGo();
      group.pass(AWHILE_MS);
      const [one = [], ...others] = liveAt(group, "k");
      expect(one).toHaveLength(1);
      for (const other of others) expect(other).toEqual(one);
    }
  });
});

describe("a write without a context that was answered", () => {
  it("covers nothing more, whatever a late acknowledgement tells", () => {
    const group = new Group({ count: 4 });
    const { ring } = group.node("r1").knowledge;
    const name = nameWhere(ring, (owners) => ["r1", "r2", "r3"].every((id) => owners.includes(id)));
    group.holdsBack = (message, to) => to === "r3" && isStore(message);
    expect(group.put("r1", name, 5).kind).toBe("written");
    group.holdsBack = (message, to) => to === "r3" && isStore(message);
    // Somebody writes over it, at r3, with what r1 had shown; then the first write comes there.
    const { context } = group.read("r2", name, 1);
    expect(group.execute("r3", writeOf(name, 7, context)).kind).toBe("written");
    group.letGo();
    group.pass(AWHILE_MS);
    for (const id of ["r1", "r2", "r3"]) expect(lengthsAt(group, id, name)).toEqual([7]);
  });
});

describe("a write without a context that somebody has read, and replaced, before its answer", () => {
  /** r1 mints; r2 has it, and shows it; who writes over it does that at r3, which has not met it. */
  function replacedEarly(of: { offMs: number; reachesR1: boolean }): Group {
    const group = new Group({ count: 3 });
    group.wallOffMs.set("r3", of.offMs);
    group.holdsBack = (message, to) =>
      (to === "r3" && isStore(message)) || (to === "r1" && isAck(message));
    const first = group.begin("r1", writeOf("k", 5));
    const { context } = group.read("r2", "k", 1);
    group.now += 2;
    group.holdsBack = (message, to) => to === "r1" && isStore(message) && !of.reachesR1;
    const second = group.begin("r3", writeOf("k", 7, context));
    group.letOneGo((message) => isStore(message));
    group.letGo();
    group.pass(AWHILE_MS);
    for (const token of [first, second]) expect(group.answerOf(token)?.kind).toBe("written");
    return group;
  }

  it.each([
    { clocks: "agree", offMs: 0, reachesR1: false },
    { clocks: "agree", offMs: 0, reachesR1: true },
    { clocks: "are 50 ms apart", offMs: -50, reachesR1: false },
    { clocks: "are 50 ms apart", offMs: -50, reachesR1: true },
  ])("does not cover that: clocks $clocks, known to its coordinator: $reachesR1", (of) => {
    expect(liveAt(replacedEarly(of), "k")).toEqual([[7], [7], [7]]);
  });

  it("does not cover it either when it is minted again, above what had a later time", () => {
    const group = new Group({ count: 3 });
    group.loses = (message, to) => to === "r1" && isStore(message);
    group.put("r2", "k", 3);
    // The clock of r1 is behind; r3 never gets the first version, and r1 hears of nothing.
    group.wallOffMs.set("r1", -5000);
    group.loses = (message, to) => to === "r3" && isStore(message);
    group.holdsBack = (message, to) => to === "r1" && isAck(message);
    const first = group.begin("r1", writeOf("k", 5));
    group.loses = () => false;
    const { context } = group.read("r2", "k", 1);
    group.holdsBack = (message, to) => to === "r1" && isStore(message);
    const second = group.begin("r3", writeOf("k", 7, context));
    // What r2 holds is above the first version; r3 hears of the next one alone.
    group.letOneGo(isAck);
    group.letGo();
    group.pass(AWHILE_MS);
    for (const token of [first, second]) expect(group.answerOf(token)?.kind).toBe("written");
    // Of the first write both versions are over: whoever wrote the next one had seen it.
    expect(liveAt(group, "k")).toEqual([[7], [7], [7]]);
  });
});

describe("a write without a context that is over when it covers what was found", () => {
  /**
   * Goes as far as r1 having sent a write, beside which r2 has a value that it is about to tell of.
   */
  function found(): { group: Group; token: number } {
    const group = new Group({ count: 3 });
    group.loses = isStore;
    group.begin("r2", writeOf("k", 5));
    group.loses = () => false;
    group.pass(1);
    group.holdsBack = (message, to) =>
      (to === "r1" && isAck(message)) || (to === "r3" && isStore(message));
    return { group, token: group.begin("r1", writeOf("k", 7)) };
  }

  it("is told of as it was written, where another one has overtaken it", () => {
    const { group, token } = found();
    group.pass(1);
    expect(group.put("r3", "k", 9).kind).toBe("written");
    group.letOneGo(isAck);
    group.letGo();
    const { sibling } = group.answerOf(token) as Extract<Result, { kind: "written" }>;
    expect(sibling.expiresAt).toBe(0);
    expect(sibling.content?.contentType).toBe(plainContent(new Uint8Array(0)).contentType);
    expect(liveAt(group, "k")).toEqual([[9], [9], [9]]);
  });

  it("is refused where a purge has ended it", () => {
    const { group, token } = found();
    group.pass(1);
    const what = { everything: true } as const;
    expect(group.execute("r3", { kind: "purge", namespace: "demo", what }).kind).toBe("purged");
    group.letOneGo(isAck);
    group.letGo();
    const code = "quorum-unavailable";
    expect(group.answerOf(token)).toMatchObject({ kind: "failed", failure: { code } });
  });
});

describe("a write without a context by a coordinator that cannot read its record", () => {
  it("is kept with what it covers, and finds nothing of what was lost", () => {
    const group = new Group({ count: 3 });
    group.loses = ({ body }, to) => body.kind === "store" && to === "r1";
    group.put("r2", "k", 5);
    group.pass(1);
    const keys = new Set<string>();
    group.rot("r1", keys);
    // It cannot when it learns what the others hold beside the write; nor does it hear that again.
    group.loses = ({ body }) => {
      if (body.kind === "store") keys.add(storeKey("demo", "k"));
      return body.kind === "read";
    };
    expect(group.put("r1", "k", 7)).toMatchObject({ kind: "written" });
    keys.clear();
    const { keeper } = group.node("r1").service ?? {};
    expect([keeper?.lostCount, keeper?.hold(storeKey("demo", "k")).isUnknown]).toEqual([1, true]);
    group.loses = () => false;
    for (const id of ["r1", "r2", "r3"]) expect(lengthsAt(group, id, "k")).toEqual([7]);
  });
});

describe("versions that were overtaken", () => {
  it("are no siblings that a write with a context would have to resolve", () => {
    const group = new Group({ count: 3 });
    group.put("r1", "k", 5);
    const versions = Array.from({ length: SIBLINGS_COUNT_DEFAULT }, (_, i) => {
      return { dot: { actor: "AAAAAAAA", counter: i + 1 }, time: hlcFromMillis(group.now) };
    });
    for (const id of group.ids) {
      const { keeper } = group.node(id).service ?? {};
      const key = storeKey("demo", "k");
      keeper?.absorb(key, overtake(keeper.hold(key).entry, versions), null, group.now);
    }
    const write = writeOf("k", 7, CausalContext.empty);
    expect(group.execute("r2", write)).toMatchObject({ kind: "written", siblingCount: 2 });
  });
});

describe("an acknowledgement", () => {
  it("says nothing beside where there is nothing to say", () => {
    const group = new Group({ count: 3 });
    const kinds = new Set<string>();
    group.loses = ({ body }) => {
      kinds.add(body.kind);
      return false;
    };
    for (let i = 0; i < 3; i++) group.put("r1", "k", i + 1);
    group.remove("r2", "k");
    expect(kinds.has("stored")).toBe(true);
    expect(kinds.has("storedWith")).toBe(false);
  });
});
