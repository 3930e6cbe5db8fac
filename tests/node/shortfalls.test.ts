/** What a failure says of how many there were, and whether anything came of the request. */
import { describe, expect, it } from "vitest";
import type { Operation } from "../../core/operations.ts";
import { Group, writeOf } from "./group.ts";

/** r1 alone is there. */
function alone(): Group {
  const group = new Group({ count: 3 });
  group.put("r1", "k", 10);
  for (const id of ["r2", "r3"]) group.stop(id);
  return group;
}

const failureOf = (operation: Operation) => {
  const result = alone().execute("r1", operation);
  return result.kind === "failed" ? result.failure : result;
};
const write = writeOf("k", 20, null) as Extract<Operation, { kind: "write" }>;

describe("a request that too few members answer", () => {
  it.each<[string, Operation]>([
    ["a strict write without a context", { ...write, options: { consistency: "strict" } }],
    ["a conditional write", { ...write, precondition: { ifMatch: ["*"], ifNoneMatch: [] } }],
  ])("says the numbers: %s", (_, operation) => {
    expect(failureOf(operation)).toMatchObject({ required: 2, achieved: 1 });
  });

  it("says that nothing was changed, where that is known", () => {
    const namespace = "demo";
    const purge: Operation = { kind: "purge", namespace, what: { everything: true } };
    const configure: Operation = { kind: "configure", namespace, settings: null };
    for (const operation of [purge, configure]) {
      expect(failureOf(operation)).toMatchObject({
        code: "quorum-unavailable",
        ...{ required: 2, achieved: 1, isWithoutEffect: true },
      });
    }
    expect(failureOf({ ...write, options: { w: 3 } })).not.toHaveProperty("isWithoutEffect");
  });
});

it("an exchange that did not go through is none, and has compared nothing", () => {
  const result = alone().execute("r1", { kind: "anti-entropy", replica: null });
  expect(result).toMatchObject({ kind: "compared", exchanges: 0, partitionsCompared: 0 });
});
