import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import type { Operation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { livenessDefaults } from "../../ring/liveness.ts";
import { Driver } from "../../src/driver/driver.ts";
import { Node } from "../../src/node/node.ts";
import { callReplica } from "../../worker/calls.ts";
import { type Env, platformPrng } from "../../worker/config.ts";
import { env, knowledge } from "./support.ts";

/** What the runtime throws of an object whose queue is full: it must not be asked again at once. */
const overloaded = (): Error =>
  Object.assign(new Error("Durable Object is overloaded. Requests queued for too long."), {
    overloaded: true,
    retryable: true,
    remote: false,
  });

describe("a frontend with an overloaded replica", () => {
  it("goes on without it, asks it once, and then again only by a probe", async () => {
    const known = await knowledge();
    const key = storeKey("overload", "k");
    const [busy = ""] = known.ring.preferenceList(known.ring.partitionOf(key));
    let busyCalls = 0;
    let isBusy = true;
    let now = Date.now();
    const namespace = {
      idFromName: (name: string) => name,
      get: (name: string) => {
        if (name !== busy || !isBusy) return env.REPLICAS.get(env.REPLICAS.idFromName(name));
        busyCalls++;
        return { exchange: () => Promise.reject(overloaded()) };
      },
    };
    const faulty = { ...env, REPLICAS: namespace } as unknown as Env;
    const execute = async (operation: Operation): Promise<Result> => {
      const calls: Promise<void>[] = [];
      const node = new Node({ knowledge: known, prng: platformPrng(), replica: null });
      const driver: Driver = new Driver(node, {
        now: () => ({ monotonic: now, wall: now }),
        send: (to, message) => {
          if (message.type !== "request") return;
          calls.push(callReplica({ env: faulty, knowledge: known, driver }, to, message));
        },
        flush: () => Promise.resolve(),
      });
      const result = await driver.execute(operation, "");
      await Promise.all(calls);
      return result;
    };
    const read = { kind: "get", key, options: { r: 2 }, session: null } as const;
    // The busy one goes unnoticed until, by chance, it counts as the nearest.
    for (let i = 0; i < 20 && busyCalls === 0; i++) expect((await execute(read)).kind).toBe("got");
    expect(busyCalls).toBe(1);
    expect(known.liveness.isSuspect(busy)).toBe(true);
    for (let i = 0; i < 5; i++) expect((await execute(read)).kind).toBe("got");
    expect(busyCalls).toBe(1);
    // After a pause one request sends a probe beside its own questions, and that heals it.
    isBusy = false;
    now += livenessDefaults.probeMs;
    for (let i = 0; i < 3; i++) expect((await execute(read)).kind).toBe("got");
    expect(known.liveness.isSuspect(busy)).toBe(false);
  });
});
