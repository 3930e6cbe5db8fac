import { describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import { Group } from "./group.ts";

const KEY = storeKey("demo", "k");

/** All copies of the only key cannot be read any more, until they are written again. */
function rotten(n: number): Group {
  const group = new Group({ count: 3, demo: { n } });
  group.put("r1", "k", 10);
  for (const [id, { store }] of group.members) {
    if (store.summary(KEY) !== undefined) group.rot(id, new Set([KEY]));
  }
  return group;
}

function read(group: Group, at: ReplicaId): string {
  const result = group.execute(at, { kind: "get", key: KEY, options: {}, session: null });
  if (result.kind === "got") return `${result.entry.siblings.length} values`;
  return result.kind === "failed" ? result.failure.code : result.kind;
}

describe("a key of which all copies have rotted", () => {
  // A sole owner gets it from nobody: before, what was written then was never shown.
  it.each([1, 2, 3])("can be written again (n=%i)", (n) => {
    const group = rotten(n);
    for (const id of group.ids) expect(read(group, id)).not.toBe("1 values");
    expect(group.put("r1", "k", 20).kind).toBe("written");
    for (const id of group.ids) expect(read(group, id)).toBe("1 values");
  });
});
