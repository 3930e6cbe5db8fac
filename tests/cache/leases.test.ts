/** One fetch for the whole cluster: the right to it, and who waits for what. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { Fields } from "../../src/cache/fields.ts";
import { OriginError } from "../../src/door/ports.ts";
import { heldBy, Leases } from "../../src/node/serving/leases.ts";
import { cached, makeRig, type Reply, readAll } from "./door-rig.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const ask = (holder: string, act = 0, key = "k") =>
  ({ kind: "lease", key, holder, ms: 3000, act }) as const;
const WAIT = 0;
const GRANTED = 1;
const UNSHARED = 2;
const AGAIN = 3;
const allThere = (): boolean => false;

describe("a primary's leases", () => {
  it("are one holder's at a time, until it gives one back or falls silent", () => {
    const leases = new Leases(allThere);
    const state = (holder: string, now: number, act = 0): number =>
      leases.answer(ask(holder, act), now, 7).state;
    expect([state("a", 0), state("b", 1), state("a", 2000), state("b", 4999)]).toEqual([
      GRANTED,
      WAIT,
      GRANTED,
      WAIT,
    ]);
    // Renewed at 2000: it ends at 5000 by itself.
    expect(state("b", 5000)).toBe(GRANTED);
    state("a", 5001, 1);
    expect(state("a", 5002)).toBe(WAIT);
    state("b", 5003, 1);
    expect(state("a", 5004)).toBe(AGAIN);
    state("a", 5005, 1);
    expect(state("b", 9000)).toBe(GRANTED);
  });

  it("go to another one sooner when the holder's member is away and no renewal came", () => {
    const away = new Set<string>();
    const leases = new Leases((member) => away.has(member));
    const [first, second] = [heldBy("r1", "a"), heldBy("r2", "a")];
    const state = (holder: string, now: number): number => leases.answer(ask(holder), now, 7).state;
    expect([state(first, 0), state(second, 2999)]).toEqual([GRANTED, WAIT]);
    away.add("r1");
    // A holder that renews is there, whatever it seems.
    expect([state(first, 3000 - 1), state(second, 4400)]).toEqual([GRANTED, WAIT]);
    expect([state(second, 4499), state(first, 4500)]).toEqual([GRANTED, WAIT]);
    // A frontend that is no member's is only known by its silence.
    const worker = heldBy(null, "frontend");
    expect([state(worker, 8000), state(first, 10_999), state(first, 11_000)]).toEqual([
      GRANTED,
      WAIT,
      GRANTED,
    ]);
  });

  it("are withheld for a while for a key whose answer was for one client alone", () => {
    const leases = new Leases(allThere);
    leases.answer(ask("a"), 0, 7);
    leases.answer(ask("a", 2), 1, 7);
    expect(leases.answer(ask("b"), 2, 7).state).toBe(UNSHARED);
    expect(leases.answer(ask("b"), 10_001, 7).state).toBe(GRANTED);
  });
});

describe("a frontend that may not fetch", () => {
  it("gives what another one stored, as soon as it is there", async () => {
    const rig = await makeRig();
    rig.backend.lease = () => ({ state: "wait", time: 1 });
    const waiting = rig.get("/a");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(rig.asked).toHaveLength(0);
    // Another frontend on the same ring has the right to fetch.
    rig.backend.lease = ({ holder }) => ({
      state: holder === "other" ? "granted" : "wait",
      time: rig.backend.nowMs * 1024,
    });
    const other = await makeRig({}, { backend: rig.backend, holder: "other" });
    expect((await other.get("/a")).text).toBe("answer 1");
    const answer = await waiting;
    expect([answer.text, rig.asked.length]).toEqual(["answer 1", 0]);
    expect(answer.get("Cache-Status")).toMatch(/collapsed/);
  });

  it("looks at all owners before it fetches: one that lacks it is no reason to ask the origin", async () => {
    const rig = await makeRig();
    await rig.get("/a");
    const answered = rig.backend.answer.bind(rig.backend);
    rig.backend.answer = (operation, trace) => {
      if (operation.kind !== "get" || operation.options.r === "all") {
        return answered(operation, trace);
      }
      return answered({ ...operation, key: `${operation.key} at who lacks it` }, trace);
    };
    const answer = await rig.get("/a");
    expect([answer.text, rig.asked.length]).toEqual(["answer 1", 1]);
    expect(answer.get("Cache-Status")).toMatch(/fwd=uri-miss;collapsed/);
  });

  it("looks at all owners while it asks for the right: a miss waits for one round of the two", async () => {
    const rig = await makeRig();
    const answered = rig.backend.answer.bind(rig.backend);
    const looked = Promise.withResolvers<void>();
    rig.backend.answer = async (operation, trace) => {
      if (operation.kind === "get" && operation.options.r === "all") looked.resolve();
      if (operation.kind === "lease") await looked.promise;
      return answered(operation, trace);
    };
    expect((await rig.get("/a")).text).toBe("answer 1");
  });

  it("looks again where the right was given back just now: the answer may be there by now", async () => {
    const rig = await makeRig();
    const answered = rig.backend.answer.bind(rig.backend);
    let isFirst = true;
    rig.backend.answer = async (operation, trace) => {
      if (operation.kind === "lease" && operation.act === "ask" && isFirst) {
        isFirst = false;
        // Somebody else stores it, after all owners were looked at and before the answer.
        await (await makeRig({}, { backend: rig.backend, holder: "other" })).get("/a");
        const time = rig.backend.nowMs * 1024;
        return { kind: "leased", state: "again", time };
      }
      return answered(operation, trace);
    };
    const answer = await rig.get("/a");
    expect([answer.text, rig.asked.length]).toEqual(["answer 1", 0]);
    expect(answer.get("Cache-Status")).toMatch(/fwd=uri-miss;collapsed/);
  });

  it("fetches for itself where the answer is not for sharing, or nobody can be asked", async () => {
    const rig = await makeRig();
    rig.backend.lease = () => ({ state: "unshared", time: 1 });
    await Promise.all([rig.get("/a"), rig.get("/a")]);
    rig.backend.lease = () => {
      throw new Error("nobody is there");
    };
    expect((await rig.get("/b")).status).toBe(200);
  });
});

/** Frontends on one ring, whose primary gives leases; the fetches under way, by frontend. */
async function makeFrontends(count: number) {
  const first = await makeRig({}, { holder: "f0" });
  const { backend } = first;
  const leases = new Leases(allThere);
  const states = ["wait", "granted", "unshared", "again"] as const;
  const acts = ["ask", "release", "unshare"];
  backend.lease = ({ holder, key, leaseMs, act }) => {
    const body = { kind: "lease", key, holder, ms: leaseMs, act: acts.indexOf(act) } as const;
    // This ring has only one of the two clocks.
    const now: number = backend.nowMs;
    const { state, time } = leases.answer(body, now, now * 1024);
    return { state: states[state] ?? "wait", time };
  };
  const rigs = [first];
  while (rigs.length < count) {
    rigs.push(await makeRig({}, { backend, holder: `f${rigs.length}` }));
  }
  const fetches = rigs.map(() => Promise.withResolvers<Reply>());
  for (const [i, rig] of rigs.entries()) rig.reply = () => fetches[i]?.promise ?? {};
  const underWay = () => rigs.filter(({ asked }) => asked.length > 0).length;
  return { backend, rigs, fetches, underWay };
}

describe("a fetch that fails", () => {
  const failed = () => new OriginError("origin-unreachable", "No connection came about.");

  it("slowly has all that waited fetch side by side, not one time-out after the other", async () => {
    const { backend, rigs, fetches, underWay } = await makeFrontends(4);
    const answers = rigs.map((rig) => rig.get("/a"));
    await expect.poll(underWay).toBe(1);
    backend.nowMs += 5000;
    fetches[rigs.findIndex(({ asked }) => asked.length > 0)]?.reject(failed());
    await expect.poll(underWay).toBe(4);
    for (const { reject } of fetches) reject(failed());
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([502, 502, 502, 502]);
  });

  it("at once is tried again by one of them", async () => {
    const { rigs, fetches, underWay } = await makeFrontends(4);
    const answers = rigs.map((rig) => rig.get("/a"));
    await expect.poll(underWay).toBe(1);
    fetches[rigs.findIndex(({ asked }) => asked.length > 0)]?.reject(failed());
    await expect.poll(underWay).toBe(2);
    for (const { resolve } of fetches) resolve(cached("max-age=60"));
    const statuses = (await Promise.all(answers)).map(({ status }) => status).sort();
    expect([statuses, underWay()]).toEqual([[200, 200, 200, 502], 2]);
  });
});

/** Whether it is collected within some turns, which leave time for work behind an answer to end. */
async function isCollected(ref: WeakRef<object>): Promise<boolean> {
  for (let turn = 0; turn < 100; turn++) {
    // A WeakRef holds what it names until the end of its turn.
    await new Promise(setImmediate);
    collectGarbage();
    if (ref.deref() === undefined) return true;
  }
  return false;
}

describe("a lease that waits to be renewed", () => {
  it("keeps nothing of a request whose fetch is over", async () => {
    const renewals: (() => void)[] = [];
    const wait = () => new Promise<void>((resolve) => renewals.push(resolve));
    const rig = await makeRig({}, { wait });
    const answered = async (): Promise<WeakRef<object>> => {
      const fields: Fields = [["Host", "example.com"]];
      const { body } = await rig.raw({ target: "/a", fields });
      expect(await readAll(body)).toBe("answer 1");
      return new WeakRef(fields);
    };
    expect(await isCollected(await answered())).toBe(true);
    expect(renewals).toHaveLength(1);
  });
});

describe("a response that was fetched by a lease", () => {
  it("is as old as its lease, so that a purge that came meanwhile covers it", async () => {
    const rig = await makeRig();
    const leasedAt = rig.backend.nowMs - 5000;
    rig.backend.lease = () => ({ state: "granted", time: leasedAt * 1024 });
    await rig.get("/a");
    rig.backend.lease = () => ({ state: "granted", time: (rig.backend.nowMs - 1000) * 1024 });
    expect((await rig.get("/a")).get("Cache-Status")).toMatch(/;hit/);
    const [write] = rig.backend.operations.filter(({ kind }) => kind === "write");
    if (write?.kind !== "write" || write.content === null) throw new Error("it was stored");
    const { decodeStored } = await import("../../src/cache/stored.ts");
    expect(decodeStored(write.content.value).variants[0]?.requestedAt).toBe(leasedAt);
  });
});
