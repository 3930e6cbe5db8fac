import { expect, it } from "vitest";
import type { Message } from "../../core/messages.ts";
import { Group, writeOf } from "./group.ts";

it("notes how long a store took that nobody waited for any more, by its disk and once", () => {
  const group = new Group({ count: 3 });
  const options = { w: 2, dw: 1 };
  // By then all have it, and enough disks: the write is over.
  group.holdsBack = ({ body }: Message, to: string): boolean =>
    to === "r1" && body.kind === "stored" && body.durable;
  expect(group.execute("r1", { ...writeOf("k", 10), options } as never).kind).toBe("written");
  const storesOf = (): readonly number[] => {
    const recent = group.node("r1").knowledge.latencies.recent(["r2", "r3"], group.now);
    return [...recent.values()].flatMap(({ stores }) => stores);
  };
  expect(storesOf()).toEqual([]);
  group.pass(30);
  group.letGo();
  expect(storesOf()).toEqual([30, 30]);
});
