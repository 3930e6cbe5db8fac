/** What a node keeps of what is over: nothing. An alarm that is left keeps all that it is for. */
import { describe, expect, it } from "vitest";
import { Group } from "./group.ts";

describe("a write that is over", () => {
  it.each([1, 3])("leaves no alarm with a long value behind it, of %i replicas", (count) => {
    const group = new Group({ count, demo: { n: count, r: 1, w: 1, dw: 1 } });
    for (let i = 0; i < 10; i++) expect(group.put("r1", `k${i}`, 100).kind).toBe("written");
    for (const id of group.ids) expect([id, group.node(id).wakeAt]).toEqual([id, Infinity]);
  });
});
