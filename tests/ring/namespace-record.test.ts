import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NamespaceSettings } from "../../core/namespace-settings.ts";
import {
  acknowledgeNamespace,
  type ClusterDocument,
  decodeDocument,
  encodeDocument,
  mergeDocuments,
  withNamespace,
} from "../../ring/cluster-document.ts";
import { countedOf } from "../../ring/namespace-record.ts";
import { layoutAfter } from "../../ring/plan.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { acknowledge, beginChange, takersOf } from "../../ring/ring-change.ts";
import { agreedRing } from "../../ring/ring-document.ts";

const ids = ["r1", "r2", "r3", "r4", "r5"];
const members = ids.map((id) => ({ id, zone: "a", url: "", weight: 1 }));
const ring = bootstrapRing({ name: "test", partitions: 16, n: 3, members }, "42");
const settings: NamespaceSettings = {
  ...{ n: 3, r: "quorum", w: "quorum", dw: "quorum", ttl: null, maxValueBytes: 1000 },
  ...{ maxBytes: null, trustedContent: false },
};
const started: ClusterDocument = { ring, namespaces: new Map() };
const resized = (document: ClusterDocument, n: number): ClusterDocument =>
  withNamespace(document, "demo", { ...settings, n }, false);

/** What several nodes made of one document, each by itself. */
const acts = fc.array(
  fc.oneof(
    fc.record({ by: fc.nat({ max: 2 }), ack: fc.constantFrom(...ids) }),
    fc.record({ by: fc.nat({ max: 2 }), n: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ by: fc.nat({ max: 2 }), from: fc.nat({ max: 2 }) }),
  ),
  { maxLength: 25 },
);

function worlds(steps: typeof acts extends fc.Arbitrary<infer T> ? T : never): ClusterDocument[] {
  const documents = [started, started, started].map((document) => resized(document, 4));
  for (const step of steps) {
    const mine = documents[step.by] ?? started;
    if ("from" in step) documents[step.by] = mergeDocuments(mine, documents[step.from] ?? mine);
    else if ("n" in step) documents[step.by] = resized(mine, step.n);
    else if (mine.namespaces.get("demo")?.change !== undefined) {
      documents[step.by] = acknowledgeNamespace(mine, "demo", step.ack);
    }
  }
  return documents;
}

describe("a namespace's record", () => {
  it("goes through filling and settling as its members say so, whatever came first", () => {
    const begun = resized(started, 5);
    const record = (document: ClusterDocument) => document.namespaces.get("demo");
    expect(record(begun)?.change).toEqual({ from: 3, phase: "filling", acks: [] });
    expect(countedOf(record(begun), ring)).toBe(3);
    const each = ids.map((id) => acknowledgeNamespace(begun, "demo", id));
    const filled = each.reduce(mergeDocuments);
    expect(record(filled)?.change).toEqual({ from: 3, phase: "settling", acks: [] });
    expect(countedOf(record(filled), ring)).toBe(5);
    const settled = ids
      .slice(0, 4)
      .map((id) => acknowledgeNamespace(filled, "demo", id))
      .reduce(mergeDocuments);
    expect(record(settled)?.change).toBeUndefined();
    // A late one learns that it is over, and does not begin again.
    expect(record(mergeDocuments(begun, settled))).toEqual(record(settled));
    expect(record(mergeDocuments(settled, filled))).toEqual(record(settled));
  });

  it("is called back at once while it is being filled, and changes over later", () => {
    const begun = resized(started, 5);
    expect(resized(begun, 3).namespaces.get("demo")?.change).toBeUndefined();
    expect(resized(begun, 2).namespaces.get("demo")?.change?.from).toBe(3);
    const filled = ids.map((id) => acknowledgeNamespace(begun, "demo", id)).reduce(mergeDocuments);
    expect(resized(filled, 3).namespaces.get("demo")?.change?.from).toBe(5);
  });

  it("joins in any order, any number of times", () => {
    fc.assert(
      fc.property(acts, (steps) => {
        const [a = started, b = started, c = started] = worlds(steps);
        const text = (document: ClusterDocument): string =>
          new TextDecoder().decode(encodeDocument(document));
        expect(text(mergeDocuments(a, b))).toBe(text(mergeDocuments(b, a)));
        expect(text(mergeDocuments(a, a))).toBe(text(a));
        expect(text(mergeDocuments(mergeDocuments(a, b), c))).toBe(
          text(mergeDocuments(a, mergeDocuments(b, c))),
        );
        expect(text(decodeDocument(encodeDocument(a)))).toBe(text(a));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    { from: 0, phase: "filling", acks: [] },
    { from: 3, phase: "done", acks: [] },
    { from: 3, phase: "filling", acks: [7] },
    { from: 3, phase: "filling" },
    null,
  ])("refuses a change that is none: %j", (change) => {
    const begun = resized(started, 5);
    const record = { revision: 1, settings, change } as never;
    const bad = { ...begun, namespaces: new Map([["demo", record]]) };
    expect(() => decodeDocument(encodeDocument(bad))).toThrow();
  });
});

describe("when N and members change at once", () => {
  it("the change of members waits for nobody whom the N of now gives nothing", () => {
    const small = agreedRing(bootstrapRing({ name: "test", partitions: 2, n: 3, members }, "42"));
    const layout = layoutAfter(small, members.slice(1), 5);
    const begun = beginChange(small, layout, { ballot: 5, forced: [] });
    const takers = takersOf(begun, [3]);
    expect(takersOf(begun, [3, 4]).length).toBeGreaterThan(takers.length);
    const wider = resized({ ...started, ring: begun }, 4);
    const ring = takers.reduce((at, id) => acknowledge(at, id, [3, 4]), begun);
    expect(ring.change?.phase).toBe("filling");
    // All that are owners by the smaller N have acknowledged already, and say nothing more.
    const acked = { ...wider, ring };
    for (const smaller of [resized(acked, 3), resized(wider, 3)]) {
      expect(mergeDocuments(acked, smaller).ring.change?.phase).toBe("settling");
      expect(mergeDocuments(smaller, acked).ring.change?.phase).toBe("settling");
    }
  });

  it("the change of N waits for nobody who is no member any more", () => {
    const four = members.slice(0, 4);
    const begun = resized(started, 5);
    const acked = four.reduce((at, { id }) => acknowledgeNamespace(at, "demo", id), begun);
    expect(acked.namespaces.get("demo")?.change?.phase).toBe("filling");
    const agreed = agreedRing(ring);
    const shrunk = { ...agreed, ...layoutAfter(agreed, four, 5), version: 2 };
    const merged = mergeDocuments(acked, { ...acked, ring: shrunk });
    expect(merged.namespaces.get("demo")?.change?.phase).toBe("settling");
  });
});
