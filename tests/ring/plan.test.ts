import { describe, expect, it } from "vitest";
import { CodecError } from "../../core/check.ts";
import { changedMembers, layoutAfter, movesBetween, planChange } from "../../ring/plan.ts";
import { bootstrapRing, type RingMember } from "../../ring/ring.ts";

const member = (id: string, zone: string, weight = 1): RingMember => ({
  id,
  zone,
  url: `http://127.0.0.1:${7100 + Number(id.slice(1))}`,
  weight,
});

const overTls = (one: RingMember): RingMember => ({
  ...one,
  url: one.url.replace("http:", "https:"),
});

const document = bootstrapRing(
  {
    name: "local",
    partitions: 64,
    n: 3,
    members: [member("r1", "a"), member("r2", "b"), member("r3", "c"), member("r4", "a")],
  },
  "1",
);

const accepted = (change: unknown): readonly RingMember[] => changedMembers(document, change);

/** What is wrong with a change, in words. */
function problemOf(of: typeof document, change: unknown): string {
  try {
    return `taken: ${changedMembers(of, change).length} members`;
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return error.message;
  }
}

describe("changedMembers", () => {
  it("adds, removes and reweighs", () => {
    const members = accepted({
      add: [{ id: "r5", zone: "b", url: "http://127.0.0.1:7105", weight: 2 }],
      remove: ["r2"],
      reweight: { r1: 7 },
    });
    expect(members).toEqual([
      member("r1", "a", 7),
      member("r3", "c"),
      member("r4", "a"),
      member("r5", "b", 2),
    ]);
  });

  it("leaves the members alone when nothing is asked", () => {
    expect(changedMembers(document, {})).toEqual(document.members);
  });

  it("replaces a member that is removed and added at once", () => {
    const members = accepted({ remove: ["r2"], add: [{ ...member("r2", "d"), weight: 3 }] });
    expect(members.find(({ id }) => id === "r2")).toEqual(member("r2", "d", 3));
    expect(members.length).toBe(4);
  });

  const bad: [change: unknown, message: string][] = [
    [null, "a change must be an object"],
    [[], "a change must be an object"],
    [{ adds: [] }, `"adds" is not known here: remove it, or use one of add, remove, reweight`],
    [{ remove: "r2" }, `"remove" must be a list of ids`],
    [{ remove: ["r9"] }, `"remove" names "r9": no member has that id`],
    [{ remove: ["r2", "r2"] }, `"remove" names "r2"`],
    [{ remove: [{}] }, `"remove" names {}`],
    [{ remove: ["r1", "r2"] }, `"n" is 3 with 2 in "members"`],
    [{ add: {} }, `"add" must be a list`],
    [{ add: [{ id: "r 5" }] }, `add[0]: "id" must be`],
    [{ add: [{ id: "r2" }] }, "add[0] (r2) is a member already"],
    [{ add: [member("r5", "a"), { id: "r5" }] }, "add[1] (r5) is a member already"],
    [{ add: [{ ...member("r5", "a"), url: "http://127.0.0.1:7101" }] }, "two at url"],
    [{ add: [{ id: "r5", color: "red" }] }, `add[0] (r5): "color" is not known here`],
    [{ reweight: [] }, `"reweight" must be an object`],
    [{ reweight: { r9: 2 } }, `"reweight" names "r9"`],
    [{ remove: ["r4"], reweight: { r4: 2 } }, `"reweight" names "r4": no member that stays`],
    [{ reweight: { r1: 0 } }, "the weight of r1 must be a whole number from 1 to 1000; it is 0"],
    [JSON.parse(`{"reweight":{"__proto__":1}}`), `"reweight" names "__proto__"`],
  ];

  it.each(bad)("refuses %j", (change, message) => {
    const problem = problemOf(document, change);
    expect(problem).toContain(message);
    expect(problem).not.toContain("\n");
  });

  it("wants of a member that joins a url that the others can reach", () => {
    const secure = { ...document, members: document.members.map(overTls) };
    const open = { ...document, members: document.members.map((one) => ({ ...one, url: "" })) };
    const joining = (url?: string): unknown => ({ add: [{ id: "r5", zone: "b", url }] });
    const http = "http://127.0.0.1:7105";
    const missing = `add[0] (r5): "url" is missing: say where it listens, like "http://r5:7100"`;
    expect(problemOf(document, joining())).toBe(missing);
    expect(problemOf(document, joining(""))).toBe(missing);
    expect(problemOf(secure, joining(http))).toContain("must begin with https:// as those");
    const tls = "https://127.0.0.1:7105";
    expect(problemOf(document, joining(tls))).toContain("with http:// as");
    expect(changedMembers(secure, joining("https://127.0.0.1:7105"))).toHaveLength(5);
    expect(changedMembers(open, joining())).toHaveLength(5);
    for (const url of ["http://1.2.3.4.5:7105", "http://256.1.1.1:7105", "http://[::1::]:7105"]) {
      expect(problemOf(document, joining(url))).toContain(`"url" must be http://host:port`);
    }
  });

  it("takes out what an older version let in without a url", () => {
    const [first, ...rest] = document.members as [RingMember, ...RingMember[]];
    const mixed = { ...document, members: [{ ...first, url: "" }, ...rest] };
    expect(changedMembers(mixed, { remove: ["r1"] })).toHaveLength(3);
    expect(changedMembers(mixed, { remove: ["r1"], add: [first] })).toHaveLength(4);
  });

  it("keeps a hostile id out of the line it answers with", () => {
    const problem = problemOf(document, { remove: [`\n\u001b[31m${"x".repeat(200)}`] });
    expect(problem).toMatch(/^[ -~]{1,140}$/);
  });
});

describe("planChange", () => {
  it("moves to a new member and proves that less is impossible", () => {
    const plan = planChange(document, accepted({ add: [member("r5", "b")] }));
    expect(plan).toMatchObject({ from: 1, to: 2 });
    // Zone b holds 64 copies, r2 all of them until half of them go to r5.
    expect(plan.movedPartitions).toBe(32);
    expect(plan.minimumPossible).toBe(32);
    expect(plan.moves.length).toBe(32);
    expect(plan.moves.every(({ from, to }) => from === "r2" && to === "r5")).toBe(true);
  });

  it("replaces a dead member copy for copy", () => {
    const plan = planChange(document, accepted({ remove: ["r2"], add: [member("r6", "b")] }));
    expect(plan.movedPartitions).toBe(64);
    expect(plan.moves.every(({ from, to }) => from === "r2" && to === "r6")).toBe(true);
  });

  it("changes nothing when nothing changes", () => {
    expect(planChange(document, document.members)).toEqual({
      from: 1,
      to: 2,
      moves: [],
      movedPartitions: 0,
      minimumPossible: 0,
    });
  });

  it("plans what the next layout does", () => {
    const members = accepted({ remove: ["r4"], add: [member("r7", "d", 2)], reweight: { r1: 3 } });
    const next = layoutAfter(document, members, 77);
    const plan = planChange(document, members);
    expect(movesBetween(document.assignment, next.assignment)).toEqual(plan.moves);
    expect(layoutAfter(document, members.toReversed(), 77)).toEqual(next);
  });

  it("marks members that join with the change, and the others with the one they joined by", () => {
    const founders = accepted({ add: [member("r7", "d")] });
    const first = layoutAfter(document, founders, 77);
    const later = { ...document, version: 2, ...first };
    const members = changedMembers(later, { remove: ["r1"], add: [member("r8", "a")] });
    const next = layoutAfter(later, members, 99);
    expect(next.members.map(({ id, joined }) => [id, joined])).toEqual([
      ["r2", undefined],
      ["r3", undefined],
      ["r4", undefined],
      ["r7", 77],
      ["r8", 99],
    ]);
  });
});

describe("movesBetween", () => {
  it("pairs each owner that comes with one that goes, and says when none goes", () => {
    const before = [["r1"], ["r1", "r2"], ["r1", "r2"], ["r1", "r2"]];
    const after = [["r2", "r1"], ["r2", "r1"], ["r3", "r2"], ["r1"]];
    expect(movesBetween(before, after)).toEqual([
      { partition: 0, from: null, to: "r2" },
      { partition: 2, from: "r1", to: "r3" },
    ]);
  });
});
