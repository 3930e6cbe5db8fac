/**
 * What a strict read has shown, later ones must show, even when the owners have changed by then. It
 * may be a write that was not acknowledged, and sits only on a majority of the old owners.
 */
import { describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { Request } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { majority } from "../../core/quorum-options.ts";
import type { Result } from "../../core/results.ts";
import { opsOf, written } from "../replica/probe.ts";
import { Group } from "./group.ts";

const KEY = storeKey("demo", "key");
const strictRead: Operation = {
  kind: "get",
  key: KEY,
  options: { consistency: "strict" },
  session: null,
};

/**
 * An unfinished write: these of the owners have it, the others are silent. The future owner does
 * not hear of it from these, as if it had been filled before the write began.
 */
function halfWritten(
  { n, holders }: { readonly n: number; readonly holders: readonly number[] },
  ...lost: readonly Request["kind"][]
): Group {
  const group = new Group({ count: 5, demo: { n } });
  const silent = new Set<ReplicaId>();
  for (const [i, { id }] of group.node("r1").knowledge.owners(KEY, n).entries()) {
    const { keeper } = group.node(id).service ?? {};
    if (holders.includes(i)) keeper?.absorb(KEY, written("half"), null, group.now);
    else silent.add(id);
  }
  group.loses = ({ type, body }, to) =>
    type === "request" &&
    (body.kind === "roots" ||
      lost.some((kind) => kind === body.kind) ||
      (body.kind === "read" && silent.has(to)));
  return group;
}

/** How many of the owners by this N hold it. */
const holderCount = (group: Group, n: number): number => {
  const { ring } = group.node("r1").knowledge;
  const owners = ring.preferenceList(ring.partitionOf(KEY)).slice(0, n);
  return owners.filter((id) => group.members.get(id)?.store.summary(KEY)?.holdsValue).length;
};

const shown = (result: Result): unknown => (result.kind === "got" ? opsOf(result.entry) : result);

describe("a strict read while N changes", () => {
  it.each([
    { n: 3, to: 5, holders: [0, 1] },
    { n: 5, to: 2, holders: [2, 3, 4] },
  ])("from $n to $to shows nothing that a majority by either lacks", ({ to, ...half }) => {
    const group = halfWritten(half);
    const [reader = "r1"] = group.ids.filter((id) => group.members.get(id)?.store.summary(KEY));
    expect(group.resize("r1", to).kind).toBe("configured");
    expect(shown(group.execute(reader, strictRead))).toEqual(["half"]);
    for (const n of [half.n, to]) {
      expect([n, holderCount(group, n) >= majority(n)]).toEqual([n, true]);
    }
  });

  it("fails when too few take it", () => {
    const group = halfWritten({ n: 3, holders: [0, 1] }, "store");
    group.resize("r1", 5);
    expect(group.execute("r2", strictRead)).toMatchObject({
      kind: "failed",
      failure: { code: "quorum-timeout", required: 4, achieved: 2 },
    });
  });

  it("writes nothing where nothing is", () => {
    const group = new Group({ count: 5, demo: { n: 3 } });
    group.resize("r1", 5);
    expect(shown(group.execute("r2", strictRead))).toEqual([]);
    expect(holderCount(group, 5)).toBe(0);
  });
});
