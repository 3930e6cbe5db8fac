import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import { plainContent } from "../support/content.ts";
import { Group } from "./group.ts";

const NAMES = ["a", "b", "c", "d", "e"];

function filled(): Group {
  const group = new Group({ count: 5 });
  const content = plainContent(new Uint8Array(8));
  const rest = { options: {}, content, ttlMs: 0, context: null, precondition: null };
  for (const name of NAMES) {
    for (let i = 0; i < 4; i++) {
      group.execute("r1", { kind: "write", key: storeKey(name, `k${i}`), ...rest });
    }
  }
  return group;
}

function pageAt(group: Group, after: string, limit: number) {
  const result = group.execute("r2", { kind: "namespaces", after, limit });
  if (result.kind !== "named") throw new Error(JSON.stringify(result));
  return result;
}

describe("the namespaces that hold a value", () => {
  it("come page by page, each once and in order", () => {
    const group = filled();
    const found: string[] = [];
    for (let after = "", isLast = false; !isLast; after = found.at(-1) ?? "") {
      const page = pageAt(group, after, 2);
      expect(page.names.length).toBeLessThanOrEqual(2);
      found.push(...page.names);
      isLast = page.complete;
    }
    expect(found).toEqual(NAMES);
    expect(pageAt(group, "", 1000)).toMatchObject({ names: NAMES, complete: true });
  });

  it("are not told of where a partition is without any of its primaries", () => {
    const group = filled();
    for (const id of ["r3", "r4", "r5"]) group.stop(id);
    const result = group.execute("r2", { kind: "namespaces", after: "", limit: 10 });
    expect(result).toMatchObject({ kind: "failed", failure: { code: "quorum-unavailable" } });
  });
});
