/**
 * A write without a context replaces what its coordinator holds. When a message is late, that may be
 * what somebody wrote after the write was answered.
 */
import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { Group } from "./group.ts";

const HEDGE_OVER_MS = 600;
const TIMEOUT_OVER_MS = 2500;

/** Keys of which r4 is no owner, so that it has others coordinate. */
function foreignKey(group: Group): string {
  const { ring } = group.node("r4").knowledge;
  for (let i = 0; ; i++) {
    const key = `key${i}`;
    const owners = ring.preferenceList(ring.partitionOf(storeKey("demo", key))).slice(0, 3);
    if (!owners.includes("r4")) return key;
  }
}

const removal = (key: string): Operation => {
  const rest = { options: {}, content: null, ttlMs: 0, context: null, precondition: null };
  return { kind: "write", key: storeKey("demo", key), ...rest };
};

const isCoordination = ({ type, body }: Message): boolean =>
  type === "request" && body.kind === "coordinate";
const isCoordinated = ({ type, body }: Message): boolean =>
  type === "reply" && body.kind === "coordinated";

describe("a write without a context that comes late", () => {
  it("replaces nothing that was written after its answer, when it was the second asked", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.put("r4", key, 10);
    let asked = 0;
    group.holdsBack = (message, to) =>
      (to === "r4" && isCoordinated(message)) || (isCoordination(message) && ++asked > 1);
    group.begin("r4", removal(key));
    group.pass(HEDGE_OVER_MS);
    expect(asked).toBe(2);
    group.letOneGo();
    group.holdsBack = () => false;
    group.put("r4", key, 20);
    expect(group.has("r4", key)).toBe(true);
    group.letGo();
    group.pass(HEDGE_OVER_MS);
    expect(group.has("r4", key)).toBe(true);
  });

  it("replaces nothing either when it was the first", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.put("r4", key, 10);
    group.holdsBack = isCoordination;
    group.begin("r4", removal(key));
    group.holdsBack = () => false;
    group.pass(HEDGE_OVER_MS);
    expect(group.has("r4", key)).toBe(false);
    group.put("r4", key, 20);
    group.letGo();
    group.pass(HEDGE_OVER_MS);
    expect(group.has("r4", key)).toBe(true);
  });

  it("replaces nothing when nobody waits for it any more", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.holdsBack = isCoordination;
    group.begin("r4", removal(key));
    group.pass(TIMEOUT_OVER_MS);
    group.holdsBack = () => false;
    group.put("r4", key, 20);
    group.letGo();
    group.pass(HEDGE_OVER_MS);
    expect(group.has("r4", key)).toBe(true);
  });
});
