/**
 * Changes that an operator asked for and gave up: a node that was frozen meanwhile does not carry
 * them out any more, and a change for one version of the ring is not made to another.
 */
import { describe, expect, it } from "vitest";
import type { CommitOperation, Operation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { openChange } from "../../ring/ring-change.ts";
import { Group } from "./group.ts";

/** Longer than any client of these nodes waits: their timeout is 2 s. */
const FROZEN_MS = 20_000;

const commitOf = (
  change: CommitOperation["change"],
  more: Pick<CommitOperation, "from" | "timeoutMs"> = {},
): CommitOperation => ({ kind: "commit", change, ...more });

const joinOf = (id: string): CommitOperation =>
  commitOf({ add: [{ id, zone: "a", url: "", weight: 1 }] });

const LEAVE = commitOf({ remove: ["r5"] });
const REWEIGH = commitOf({ reweight: { r2: 2 } });
const ABORT = commitOf({ abort: true });

const ringAt = (group: Group, id: string) => group.node(id).knowledge.document.ring;

/** The version that each node knows, and whether a change goes on there. */
const ringsOf = (group: Group): readonly string[] =>
  group.ids.map((id) => {
    const ring = ringAt(group, id);
    return `${ring.version} ${openChange(ring) === null ? "at rest" : "changing"}`;
  });

const settingsOf = (group: Group) => group.node("r2").knowledge.settingsOf("demo");

/** Has a change done by another node. */
function carryOut(group: Group, operation: CommitOperation): void {
  expect(group.execute("r2", operation)).toMatchObject({ kind: "committed" });
  group.change(10);
}

/**
 * r1 is asked, and freezes before it hears what the others say.
 *
 * @returns what its client is told when it wakes
 */
function askAndFreeze(
  group: Group,
  operation: Operation,
  meanwhile: () => void,
): Result | undefined {
  group.holdsBack = (message, to) => to === "r1" && message.type === "reply";
  const token = group.begin("r1", operation);
  group.freeze("r1");
  group.letGo();
  meanwhile();
  group.wake("r1");
  group.pass(100);
  return group.answerOf(token);
}

/** r1 knows version 1, all others version 2. */
function behind(): Group {
  const group = new Group({ count: 5 });
  group.start("r6");
  group.loses = (_, to, from) => to === "r1" || from === "r1";
  carryOut(group, joinOf("r6"));
  group.loses = () => false;
  expect(ringAt(group, "r1").version).toBe(1);
  return group;
}

describe("a commit that a frozen node carries out late", () => {
  it("begins nothing on the ring that came to be since", () => {
    const group = new Group({ count: 5 });
    group.start("r6");
    const told = askAndFreeze(group, joinOf("r7"), () => carryOut(group, joinOf("r6")));
    expect(told).toMatchObject({ failure: { code: "quorum-timeout" } });
    group.change(3);
    expect(ringsOf(group)).toEqual(group.ids.map(() => "2 at rest"));
  });

  it("begins nothing either where the ring stood still", () => {
    const group = new Group({ count: 5 });
    const told = askAndFreeze(group, REWEIGH, () => group.pass(FROZEN_MS));
    expect(told).toMatchObject({ failure: { code: "quorum-timeout" } });
    expect(ringsOf(group)).toEqual(group.ids.map(() => "1 at rest"));
    expect(group.execute("r1", REWEIGH)).toMatchObject({ kind: "committed" });
  });

  it("calls nothing off", () => {
    const group = new Group({ count: 5 });
    expect(group.execute("r2", joinOf("r9"))).toMatchObject({ kind: "committed" });
    const told = askAndFreeze(group, ABORT, () => group.pass(FROZEN_MS));
    expect(told).toMatchObject({ failure: { code: "quorum-timeout" } });
    expect(openChange(ringAt(group, "r2"))).not.toBeNull();
  });

  it("is late after as long as its caller said, and in time before", () => {
    for (const [frozenMs, isLate] of [
      [700, false],
      [900, true],
    ] as const) {
      const group = new Group({ count: 5 });
      const told = askAndFreeze(group, { ...REWEIGH, timeoutMs: 800 }, () => group.pass(frozenMs));
      const late = { failure: { code: "quorum-timeout" } };
      expect(told).toMatchObject(isLate ? late : { kind: "committed" });
    }
  });
});

it("leaves a commit time enough within what its caller waits, though a member is silent", () => {
  const group = new Group({ count: 5 });
  group.loses = (_, to) => to === "r5";
  const token = group.begin("r1", { ...REWEIGH, timeoutMs: 800 });
  for (let i = 0; i < 8; i++) group.pass(100);
  expect(group.answerOf(token)).toMatchObject({ kind: "committed" });
});

describe("a commit that names the version that it is for", () => {
  const refusal = { failure: { code: "ring-conflict" } };

  it("is refused once the ring has another one, however it came there", () => {
    const group = new Group({ count: 5 });
    carryOut(group, REWEIGH);
    carryOut(group, commitOf({ reweight: { r2: 1 } }));
    for (const from of [1, 2, 4]) {
      const told = group.execute("r1", { ...LEAVE, from });
      expect(told).toMatchObject(refusal);
      expect(told).toMatchObject({
        failure: { detail: expect.stringContaining("The ring is at version 3") },
      });
    }
    expect(ringsOf(group)).toEqual(group.ids.map(() => "3 at rest"));
    group.pass(1);
    expect(group.execute("r1", { ...LEAVE, from: 3 })).toMatchObject({ kind: "committed" });
  });

  it("is refused too by a node that has not heard of the newer one", () => {
    const group = behind();
    expect(group.execute("r1", { ...LEAVE, from: 1 })).toMatchObject(refusal);
    expect(ringsOf(group)).toEqual(group.ids.map(() => "2 at rest"));
  });

  it("is begun by a node that has not heard of that version yet", () => {
    const group = behind();
    expect(group.execute("r1", { ...LEAVE, from: 2 })).toMatchObject({ kind: "committed" });
  });

  it("calls off no change of another version", () => {
    const group = new Group({ count: 5 });
    carryOut(group, REWEIGH);
    expect(group.execute("r2", joinOf("r9"))).toMatchObject({ kind: "committed" });
    expect(group.execute("r1", { ...ABORT, from: 1 })).toMatchObject(refusal);
    expect(openChange(ringAt(group, "r2"))).not.toBeNull();
    group.pass(1);
    expect(group.execute("r1", { ...ABORT, from: 2 })).toMatchObject({ kind: "committed" });
  });
});

describe("a frozen node", () => {
  it("purges nothing that was written after its client gave up", () => {
    const group = new Group({ count: 5 });
    const what = { everything: true } as const;
    const told = askAndFreeze(group, { kind: "purge", namespace: "demo", what }, () => {
      group.pass(FROZEN_MS);
      group.put("r2", "later", 10);
    });
    expect(told).toMatchObject({ kind: "purged" });
    expect(group.has("r2", "later")).toBe(true);
  });

  it("sets no settings over those that came after its client gave up", () => {
    const group = new Group({ count: 5 });
    const settings = { ...settingsOf(group), ttl: 60 };
    const asked = { kind: "configure", namespace: "demo", settings } as const;
    const told = askAndFreeze(group, asked, () => {
      group.pass(FROZEN_MS);
      const later = { ...asked, settings: { ...settings, ttl: 3600 } };
      expect(group.execute("r2", later)).toMatchObject({ kind: "configured" });
    });
    expect(told).toMatchObject({ failure: { code: "quorum-timeout" } });
    expect(settingsOf(group).ttl).toBe(3600);
  });
});
describe("a node that has not heard of what the others agreed on", () => {
  const hear = { kind: "refresh", ofMajority: true } as const;

  it("knows of it when it has asked a majority", () => {
    const group = behind();
    group.pass(1);
    expect(group.execute("r2", joinOf("r9"))).toMatchObject({ kind: "committed" });
    expect(group.execute("r1", hear)).toEqual({ kind: "refreshed" });
    expect(ringAt(group, "r1").version).toBe(2);
    expect(openChange(ringAt(group, "r1"))).not.toBeNull();
  });

  it("says that it does not know when too few answer", () => {
    const group = behind();
    for (const id of ["r3", "r4", "r5"]) group.stop(id);
    // r1, r2 and r6 are left of six.
    const failure = { code: "quorum-unavailable", required: 4, achieved: 3 };
    expect(group.execute("r1", hear)).toMatchObject({ failure });
  });
});
