import { describe, expect, it } from "vitest";
import type { ActorId, OpId, ReplicaId } from "../../core/ids.ts";
import type { Digest, StoreKey } from "../../core/store.ts";
import type { DueAt, Hlc, Millis, WallMillis } from "../../core/time.ts";

/** The compiler reads this file too: a directive without an error below it is an error itself. */
describe("flavoured types", () => {
  it("keep names apart, and take any plain text", () => {
    const replica: ReplicaId = "r1";
    // @ts-expect-error A replica is no key.
    const key: StoreKey = replica;
    // @ts-expect-error A replica is none of its tenures.
    const actor: ActorId = replica;
    // @ts-expect-error A tenure is no client's write.
    const op: OpId = actor;
    expect([key, actor, op]).toEqual(["r1", "r1", "r1"]);
  });

  it("keep measures apart, and take any plain number", () => {
    const wall: WallMillis = 1;
    // @ts-expect-error The wall clock says nothing of a node's own time.
    const own: Millis = wall;
    // @ts-expect-error Hybrid times are 1024 to a millisecond.
    const hybrid: Hlc = wall;
    // @ts-expect-error The fraction of when an entry is due has flags.
    const due: DueAt = wall;
    // @ts-expect-error A digest is no time at all.
    const digest: Digest = hybrid;
    expect([own, hybrid, due, digest]).toEqual([1, 1, 1, 1]);
  });
});
