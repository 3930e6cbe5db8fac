import fc from "fast-check";
import { describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import {
  bootstrapRing,
  compareRings,
  parseRingDocument,
  Ring,
  type RingDocument,
  RingError,
} from "../../ring/ring.ts";
import { ringCases } from "./memberships.ts";

const hasher = await xxhash();
const SEED = "12345678901234567890";

function ringOf(zones: readonly string[], n = 3, partitions = 64): RingDocument {
  const members = zones.map((zone, i) => ({
    id: `r${i + 1}`,
    zone,
    url: `http://127.0.0.1:${7101 + i}`,
    weight: 1,
  }));
  return bootstrapRing({ name: "local", partitions, n, members }, SEED);
}

const documents = ringCases({ partitions: [1, 16, 64], membersMax: 30 }).map((ring) => {
  const n = Math.min(ring.n, ring.members.length);
  const members = ring.members.map((member) => ({ ...member, url: "" }));
  return bootstrapRing({ name: "local", partitions: ring.partitions, n, members }, SEED);
});

describe("bootstrapRing", () => {
  it("makes the same document from members in any order", () => {
    const document = ringOf(["a", "b", "c", "a"]);
    const { name, partitions, n, members } = document;
    const again = bootstrapRing({ name, partitions, n, members: members.toReversed() }, SEED);
    expect(again).toEqual(document);
    expect(document.version).toBe(1);
  });

  it("makes documents that are read back as they are", () => {
    fc.assert(
      fc.property(documents, (document) => {
        expect(parseRingDocument(JSON.parse(JSON.stringify(document)))).toEqual(document);
      }),
      { numRuns: 50 },
    );
  });
});

describe("parseRingDocument", () => {
  const good = ringOf(["a", "b", "c", "a"]);
  const [firstRow = [], ...rows] = good.assignment;
  const [first, ...others] = good.members;
  const bad: [title: string, change: object, message: string][] = [
    ["a version below 1", { version: 0 }, `"version"`],
    ["a version that is no number", { version: "1" }, `"version"`],
    ["a name with a space", { name: "a b" }, `"name"`],
    ["a seed that is a number", { seed: 42 }, `"seed"`],
    ["a seed of 65 bits", { seed: "18446744073709551616" }, `"seed"`],
    ["twelve partitions", { partitions: 12 }, `"partitions" must be a power of two`],
    ["n above five", { n: 6 }, `"n" must be a whole number from 1 to 5`],
    ["n above the members", { n: 5 }, `"n" is 5 with 4`],
    ["no members", { members: [] }, `"members" must be a list`],
    ["two members of one id", { members: [first, first, ...others] }, `two of id "r1"`],
    ["a row missing", { assignment: rows }, `a row for each of the 64`],
    ["a row too short", { assignment: [firstRow.slice(1), ...rows] }, "assignment[0] must name 3"],
    ["a row with a member twice", { assignment: [["r1", "r2", "r1"], ...rows] }, "distinct"],
    ["a row with a stranger", { assignment: [["r1", "r2", "r9"], ...rows] }, `names "r9"`],
    ["a field of a later release", { next: null }, `"next" is not known here`],
  ];

  it.each(bad)("refuses %s", (_title, change, message) => {
    const parse = () => parseRingDocument({ ...good, ...change });
    expect(parse).toThrow(RingError);
    expect(parse).toThrow(message);
  });

  it("refuses what is no object", () => {
    for (const value of [null, 1, "ring", [good], undefined]) {
      expect(() => parseRingDocument(value)).toThrow(RingError);
    }
  });

  it("keeps the members' order, which a peer compares", () => {
    const turned = { ...good, members: good.members.toReversed() };
    expect(parseRingDocument(turned)).toEqual(turned);
  });
});

describe("compareRings", () => {
  const base = ringOf(["a", "b", "c", "a"]);
  const variants: RingDocument[] = [
    base,
    { ...base, version: 2 },
    { ...base, n: 2 },
    { ...base, seed: "7" },
    { ...base, name: "other" },
    { ...base, members: base.members.toReversed() },
    { ...base, assignment: base.assignment.toReversed() },
    { ...base, members: base.members.map((member) => ({ ...member, weight: 2 })) },
    { ...base, members: base.members.map((member) => ({ ...member, url: "" })) },
  ];

  it("lets the higher version win", () => {
    for (const other of variants) {
      if (other.version === 1)
        expect(compareRings({ ...base, version: 2 }, other)).toBeGreaterThan(0);
    }
  });

  it("is a total order that finds every difference", () => {
    const index = fc.nat({ max: variants.length - 1 });
    fc.assert(
      fc.property(index, index, index, (i, j, k) => {
        const [a, b, c] = [variants[i] ?? base, variants[j] ?? base, variants[k] ?? base];
        expect(Math.sign(compareRings(a, b))).toBe(0 - Math.sign(compareRings(b, a)));
        expect(compareRings(a, b) === 0).toBe(i === j);
        if (compareRings(a, b) >= 0 && compareRings(b, c) >= 0) {
          expect(compareRings(a, c)).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("finds a copy equal", () => {
    expect(compareRings(base, JSON.parse(JSON.stringify(base)))).toBe(0);
  });
});

describe("Ring", () => {
  it("finds the partition that the hash's top bits name", () => {
    const ring = new Ring(ringOf(["a", "b", "c"]), hasher);
    for (let i = 0; i < 100; i++) {
      const key = `demo\0k${i}`;
      expect(ring.partitionOf(key)).toBe(Number(hasher.h64(key, BigInt(SEED)) >> 58n));
    }
  });

  it("lists the primaries, then everybody else once", () => {
    fc.assert(
      fc.property(documents, (document) => {
        const ring = new Ring(document, hasher);
        document.assignment.forEach((primaries, partition) => {
          const list = ring.preferenceList(partition);
          expect(list.slice(0, document.n)).toEqual(primaries);
          expect(list.toSorted()).toEqual(document.members.map(({ id }) => id).toSorted());
          expect(ring.preferenceList(partition)).toBe(list);
        });
      }),
      { numRuns: 50 },
    );
  });

  it("spreads any N over as many zones as there are", () => {
    fc.assert(
      fc.property(documents, (document) => {
        const ring = new Ring(document, hasher);
        for (let partition = 0; partition < document.partitions; partition++) {
          for (let n = 1; n <= document.members.length; n++) {
            const zones = ring.primariesOf(partition, n).map((id) => ring.zoneOf(id));
            expect(new Set(zones).size).toBe(Math.min(n, ring.zones.length));
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it("spreads a member's fallbacks over all others, by weight", () => {
    const document = ringOf(Array(6).fill("a"), 1, 1024);
    const members = document.members.map((member, i) => ({ ...member, weight: i === 5 ? 3 : 1 }));
    const ring = new Ring({ ...document, members }, hasher);
    const seconds = new Map<string, number>();
    let count = 0;
    for (let partition = 0; partition < 1024; partition++) {
      const [first, second = ""] = ring.preferenceList(partition);
      if (first !== "r1") continue;
      count++;
      seconds.set(second, (seconds.get(second) ?? 0) + 1);
    }
    expect(count).toBeGreaterThan(160);
    for (const id of ["r2", "r3", "r4", "r5"]) {
      expect(Math.abs((seconds.get(id) ?? 0) / count - 1 / 7)).toBeLessThan(0.1);
    }
    expect(Math.abs((seconds.get("r6") ?? 0) / count - 3 / 7)).toBeLessThan(0.15);
  });

  it("does not reorder the other fallbacks when a member leaves", () => {
    const document = ringOf(Array(8).fill("a"), 2);
    const ring = new Ring(document, hasher);
    const members = document.members.filter(({ id }) => id !== "r8");
    const assignment = document.assignment.map((row) => row.map((id) => (id === "r8" ? "r1" : id)));
    const smaller = new Ring({ ...document, members, assignment }, hasher);
    document.assignment.forEach((row, partition) => {
      if (row.includes("r8")) return;
      const before = ring.preferenceList(partition).filter((id) => id !== "r8");
      expect(smaller.preferenceList(partition)).toEqual(before);
    });
  });

  it("counts what each member owns, at any N", () => {
    const ring = new Ring(ringOf(["a", "b", "c", "a", "b"]), hasher);
    for (const n of [1, 2, 3, 4, 5, 9]) {
      const counts = ring.memberIds.map((id) => ring.partitionsOwnedCount(id, n));
      expect(counts.reduce((a, b) => a + b, 0)).toBe(64 * Math.min(n, 5));
      if (n >= 5) expect(counts).toEqual([64, 64, 64, 64, 64]);
    }
    expect(ring.partitionsOwnedCount("r9", 3)).toBe(0);
  });

  it("answers for strangers without surprise", () => {
    const ring = new Ring(ringOf(["a", "b", "c"]), hasher);
    expect(ring.member("r1")?.url).toBe("http://127.0.0.1:7101");
    expect(ring.member("constructor")).toBeUndefined();
    expect(ring.zoneOf("__proto__")).toBe("");
    expect(() => ring.preferenceList(64)).toThrow("a partition of this ring");
    expect(() => ring.primariesOf(0, 0)).toThrow("at least one primary");
  });

  it("shares its lists with nobody who could change them", () => {
    const ring = new Ring(ringOf(["a", "b", "c"]), hasher);
    const list = ring.preferenceList(0) as string[];
    expect(() => list.push("r9")).toThrow(TypeError);
    const primaries = ring.primariesOf(0, 2) as string[];
    primaries.length = 0;
    expect(ring.primariesOf(0, 2).length).toBe(2);
  });
});
