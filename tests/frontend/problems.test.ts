import { expect, it } from "vitest";
import { problemOf } from "../../src/frontend/http/problems.ts";

const failure = { code: "quorum-unavailable", detail: "Too few were reached." } as const;

it("a change that failed is in doubt, unless it is known that nothing came of it", () => {
  expect(problemOf(failure, true).message).toContain("The outcome is unknown");
  expect(problemOf({ ...failure, isWithoutEffect: true }, true).message).toBe(failure.detail);
  expect(problemOf(failure, false).message).toBe(failure.detail);
});
