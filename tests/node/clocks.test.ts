/** A wall clock that is set ahead, and back again: a node's own time goes on all the while. */
import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import { hostClock } from "../../src/driver/host-clock.ts";
import type { Effect } from "../../src/node/peers/boundary.ts";
import { plainContent } from "../support/content.ts";
import { Bench, START } from "./bench.ts";
import { conditionalWrite } from "./writes.ts";

const KEY = storeKey("demo", "k");
const TEN_MINUTES_MS = 600_000;

const answersIn = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.kind === "answer" ? [effect.result] : []));

/** A node that has seen the wall clock ten minutes ahead, and then put right. */
function afterJump(bench = new Bench()): Bench {
  bench.wallOffMs = TEN_MINUTES_MS;
  bench.step({ kind: "tick" });
  bench.wallOffMs = 0;
  bench.step({ kind: "tick" });
  return bench;
}

describe("a node whose wall clock was set ahead and back", () => {
  it("answers a request when its time is over", () => {
    const bench = afterJump();
    const operation = { kind: "get", key: KEY, options: { r: 3 }, session: null } as const;
    bench.step({ kind: "client", token: 1, trace: "", operation });
    bench.now += 2100;
    const [answer] = answersIn(bench.step({ kind: "tick" }));
    expect(answer).toMatchObject({ kind: "failed", failure: { code: "quorum-timeout" } });
  });

  it("gives a value the time to live that was asked for", () => {
    const bench = afterJump();
    const content = plainContent("v");
    const body = { ...conditionalWrite, key: KEY, content, ttlMs: 5000, ifNoneMatch: [] };
    bench.ask(body);
    const { siblings = [] } = bench.node.service?.keeper.hold(KEY).entry ?? {};
    expect(siblings.map(({ expiresAt }) => expiresAt)).toEqual([START + 5000]);
  });

  it("does its background work as often as before", () => {
    const bench = afterJump(new Bench({ heartbeatMs: 1000 }));
    const greetings = (): number => {
      bench.now += 2500;
      const effects = bench.step({ kind: "tick" });
      const isGreeting = (effect: Effect): boolean =>
        effect.kind === "send" &&
        effect.message.type === "request" &&
        effect.message.body.kind === "greet";
      return effects.filter(isGreeting).length;
    };
    expect([greetings(), greetings()]).toEqual([4, 4]);
  });

  it("takes no note from the future for a sign that it was not away", () => {
    const ahead = new Bench({ heartbeatMs: 1000 });
    ahead.wallOffMs = TEN_MINUTES_MS;
    ahead.step({ kind: "tick" });
    ahead.step({ kind: "job", name: "alive" });
    ahead.store.flush();
    // It is down for longer than a tombstone's grace of a minute, and its clock is right again.
    const back = new Bench({ heartbeatMs: 1000, store: ahead.store.crash() });
    back.now += 120_000;
    back.step({ kind: "tick" });
    expect(back.node.service?.jobs.absence?.isBehind).toBe(true);
  });

  it("notices that the machine slept, which its own time does not count", () => {
    const bench = new Bench({ heartbeatMs: 1000 });
    bench.step({ kind: "tick" });
    bench.now += 1100;
    bench.step({ kind: "tick" });
    bench.wallOffMs = TEN_MINUTES_MS;
    bench.step({ kind: "tick" });
    expect(bench.node.service?.jobs.absence?.isBehind).toBe(true);
  });
});

describe("hostClock", () => {
  it("passes over what a clock is set back by, and counts what it goes on by", () => {
    let at = START;
    const clock = hostClock(
      () => at,
      () => at,
    );
    const begun = clock();
    at += 600_000;
    at -= 600_000;
    at += 70;
    expect(clock().monotonic - begun.monotonic).toBe(70);
    at -= 3_600_000;
    expect(clock()).toEqual({ monotonic: begun.monotonic + 70, wall: START + 70 - 3_600_000 });
    at += 30;
    expect(clock().monotonic - begun.monotonic).toBe(100);
  });

  it("begins long after 0, wherever the wall clock stands", () => {
    const clock = hostClock(
      () => 0,
      () => 0,
    );
    expect(clock().monotonic).toBeGreaterThan(3_600_000);
  });
});
