/**
 * Members come and go while clients read and write without pause, on real processes: no client has
 * an error, nothing that was acknowledged is lost, and in the end all primaries hold the same.
 */
import { afterEach, describe, expect, it } from "vitest";
import { untilAllAnswer } from "../support/cluster.ts";
import { type Member, type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const timing = {
  heartbeatMs: 200,
  handoffMs: 300,
  antiEntropyMs: 500,
};
/** Only the transfer itself brings copies to new owners. */
const withoutExchanges = { ...timing, antiEntropyMs: 86_400_000 };

let cluster: ProcessCluster;
afterEach(() => cluster.close());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function ask<T>(id: string, route: string, body?: object): Promise<T> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(`${cluster.urlOf(id)}/v1/cluster${route}`, init);
  const json = (await answer.json()) as T;
  if (!answer.ok) throw new Error(`${route}: ${answer.status} ${JSON.stringify(json)}`);
  return json;
}

interface Plan {
  readonly to: number;
  readonly movedPartitions: number;
  readonly minimumPossible: number;
}

interface Transfers {
  readonly phase: string | null;
  readonly pending: number;
  readonly transfers: readonly { readonly to: string; readonly partitionsDone: number }[];
}

interface RingBody {
  readonly version: number;
  readonly members: readonly { readonly id: string }[];
  readonly assignment: readonly (readonly string[])[];
}

/** A busy machine is slow, which is no error; refusals come at once all the same. */
const PATIENCE = "timeout=30000";

/** Writers of keys of their own, each read back at once with `r=1` and the context. */
class Load {
  readonly #frontends: readonly string[];
  readonly #running: Promise<void>[] = [];
  #isOver = false;
  /** Acknowledged values by key. */
  readonly acked = new Map<string, string>();
  readonly errors: string[] = [];

  constructor(frontends: readonly string[]) {
    this.#frontends = frontends;
  }

  start(clientCount: number): void {
    for (let client = 0; client < clientCount; client++) this.#running.push(this.#run(client));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #run(client: number): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const key = `c${client}-${i % 60}`;
      const value = `${client}:${i}`;
      const frontend = this.#frontends[(client + i) % this.#frontends.length] ?? "";
      const url = `${cluster.urlOf(frontend)}/v1/kv/load/${key}`;
      try {
        const put = await fetch(`${url}?${PATIENCE}`, { method: "PUT", body: value });
        const said = await put.text();
        if (!put.ok) this.errors.push(`PUT ${key} ${put.status} ${said}`);
        else this.acked.set(key, value);
        const context = put.headers.get("starling-context") ?? "";
        const got = await fetch(`${url}?r=1&${PATIENCE}`, {
          headers: { "starling-context": context },
        });
        const text = await got.text();
        if (put.ok && text !== value) this.errors.push(`GET ${key} ${got.status} ${text}`);
      } catch (error) {
        this.errors.push(`${key} ${String(error)}`);
      }
    }
  }
}

async function commit(id: string, change: object): Promise<Plan> {
  const plan = await ask<Plan>(id, "/plan", change);
  const before = await ask<RingBody>(id, "/ring");
  expect(await ask<Plan>(id, "/commit", change)).toEqual(plan);
  expect(plan.movedPartitions).toBe(plan.minimumPossible);
  expect(before.version).toBe(plan.to - 1);
  return plan;
}

async function untilSettled(id: string, version: number): Promise<void> {
  for (;;) {
    const { phase } = await ask<Transfers>(id, "/transfers");
    if (phase === null && (await ask<RingBody>(id, "/ring")).version === version) return;
    await pause(50);
  }
}

const copiesThatMoved = (before: RingBody, after: RingBody): number =>
  after.assignment.reduce((sum, row, partition) => {
    const old = before.assignment[partition] ?? [];
    return sum + row.filter((member) => !old.includes(member)).length;
  }, 0);

interface Explained {
  readonly replicas: readonly {
    readonly role: string;
    readonly entry: { readonly etag: string } | null;
  }[];
}

async function untilPrimariesAgree(id: string, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    for (;;) {
      const { replicas } = await ask<Explained>(id, `/explain/load/${key}`);
      const primaries = replicas.filter(({ role }) => role === "primary");
      const etags = new Set(primaries.map(({ entry }) => entry?.etag));
      if (etags.size === 1 && !etags.has(undefined)) break;
      await pause(100);
    }
  }
}

/** What was acknowledged is read by a quorum through every frontend. */
async function expectAllThere(frontends: readonly string[], load: Load): Promise<void> {
  for (const [key, value] of load.acked) {
    for (const frontend of frontends) {
      const got = await fetch(`${cluster.urlOf(frontend)}/v1/kv/load/${key}`);
      expect([frontend, key, await got.text()]).toEqual([frontend, key, value]);
    }
  }
}

/** Keys that no client touches again. */
async function putFiller(count: number, length: number): Promise<readonly string[]> {
  const keys = Array.from({ length: count }, (_, i) => `filler${i}`);
  for (let i = 0; i < keys.length; i += 50) {
    const batch = keys.slice(i, i + 50).map(async (key) => {
      const url = `${cluster.urlOf("r2")}/v1/kv/load/${key}?w=all&${PATIENCE}`;
      const { ok } = await fetch(url, { method: "PUT", body: "x".repeat(length) });
      return ok;
    });
    expect((await Promise.all(batch)).every(Boolean)).toBe(true);
  }
  return keys;
}

/** Until no member holds a copy that it does not own. */
async function untilCleanedUp(id: string, keyCount: number): Promise<void> {
  for (;;) {
    const { members } = await ask<{ members: readonly { readonly keys: number }[] }>(id, "");
    if (members.reduce((sum, { keys }) => sum + keys, 0) === 3 * keyCount) return;
    await pause(100);
  }
}

const sharesOf = ({ members, assignment }: RingBody): readonly number[] =>
  members.map(({ id }) => assignment.filter((row) => row.includes(id)).length);

describe("members under load", () => {
  it("join and leave without an error, a loss, or a copy moved too many", async () => {
    cluster = await startProcesses(4, { timing: withoutExchanges });
    const filler = await putFiller(400, 100);
    const load = new Load(["r2", "r3", "r4"]);
    load.start(6);
    const newcomer = await cluster.startNewcomer("r5", "b");
    const before = await ask<RingBody>("r2", "/ring");
    const joining = await commit("r2", { add: [newcomer] });
    await untilSettled("r3", joining.to);
    const grown = await ask<RingBody>("r2", "/ring");
    expect(copiesThatMoved(before, grown)).toBe(joining.movedPartitions);
    const leaving = await commit("r5", { remove: ["r1"] });
    await untilSettled("r5", leaving.to);
    const shrunk = await ask<RingBody>("r4", "/ring");
    expect(copiesThatMoved(grown, shrunk)).toBe(leaving.movedPartitions);
    expect(shrunk.members.map(({ id }) => id)).toEqual(["r2", "r3", "r4", "r5"]);
    await cluster.stop("r1");
    await load.stop();
    expect(load.errors).toEqual([]);
    expect(load.acked.size).toBeGreaterThan(100);
    const keys = [...filler, ...load.acked.keys()];
    await untilPrimariesAgree("r3", keys);
    await expectAllThere(["r2", "r5"], load);
    await untilCleanedUp("r5", keys.length);
    // Zones a (r4), b (r2, r5), c (r3), three copies: one in each zone, b's shared by its two.
    expect(sharesOf(shrunk)).toEqual([32, 64, 64, 32]);
  }, 60_000);

  it("are not lost when the joining node and a source are killed in the middle", async () => {
    cluster = await startProcesses(4, { timing });
    const filler = await putFiller(3000, 1200);
    const load = new Load(["r2", "r3"]);
    load.start(4);
    const newcomer = await cluster.startNewcomer("r5", "b");
    const joining = await commit("r2", { add: [newcomer] });
    await cluster.kill("r5");
    await cluster.kill("r4");
    await cluster.start("r5");
    await cluster.start("r4");
    await untilSettled("r3", joining.to);
    const leaving = await commit("r3", { remove: ["r1"] });
    await cluster.kill("r1");
    await cluster.kill("r5");
    await cluster.start("r5");
    await cluster.start("r1");
    await untilSettled("r3", leaving.to);
    await load.stop();
    expect(load.errors).toEqual([]);
    await untilPrimariesAgree("r3", [...load.acked.keys()]);
    await expectAllThere(["r3", "r5"], load);
    const unread = filler.filter((_, i) => i % 37 === 0);
    await untilPrimariesAgree("r3", unread);
    for (const key of unread) {
      const got = await fetch(`${cluster.urlOf("r5")}/v1/kv/load/${key}`);
      expect((await got.text()).length).toBe(1200);
    }
  }, 90_000);
});

describe("a change of members", () => {
  const refusalOf = async (id: string, change: object): Promise<[number, string]> => {
    const url = `${cluster.urlOf(id)}/v1/cluster/commit`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(change) });
    const { code } = (await answer.json()) as { code?: string };
    return [answer.status, code ?? ""];
  };

  it("lose no hint with a member that leaves, though it was the only copy", async () => {
    // No timer brings hints home: the owner's return does, or the change itself.
    const never = { ...withoutExchanges, handoffMs: 86_400_000 };
    cluster = await startProcesses(4, { timing: never });
    const url = (id: string, i: number): string => `${cluster.urlOf(id)}/v1/kv/solo/k${i}`;
    const settings = { method: "PUT", body: JSON.stringify({ n: 1 }) };
    expect((await fetch(`${cluster.urlOf("r1")}/v1/namespaces/solo`, settings)).status).toBe(201);
    const keys = Array.from({ length: 60 }, (_, i) => i);
    await cluster.kill("r3");
    for (const i of keys) {
      const answer = await fetch(url("r1", i), { method: "PUT", body: `${i}` });
      expect([i, answer.status, await answer.text()]).toEqual([i, 201, ""]);
    }
    type Holder = { readonly id: string; readonly hintsHeld: Readonly<Record<string, number>> };
    const { members } = await ask<{ members: readonly Holder[] }>("r1", "");
    expect(members.find(({ id }) => id === "r4")?.hintsHeld["r3"]).toBeGreaterThan(0);
    await cluster.start("r3");
    for (const id of cluster.ids) await untilAllAnswer(cluster.urlOf(id));
    const plan = await commit("r1", { remove: ["r4"] });
    await untilSettled("r1", plan.to);
    await cluster.kill("r4");
    for (const id of ["r1", "r2", "r3"]) await ask(id, "/handoff", {});
    for (const id of ["r1", "r2", "r3"]) {
      for (const i of keys) {
        const answer = await fetch(url(id, i));
        expect([id, i, answer.status, await answer.text()]).toEqual([id, i, 200, `${i}`]);
      }
    }
  }, 60_000);

  it("has one winner of two operators, and the other is told", async () => {
    cluster = await startProcesses(4, { timing });
    const answers = await Promise.all([
      refusalOf("r1", { remove: ["r4"] }),
      refusalOf("r3", { reweight: { r1: 3 } }),
    ]);
    expect(answers.map(([status]) => status).sort()).toEqual([202, 409]);
    expect(answers.map(([, code]) => code).sort()).toEqual(["", "ring-conflict"]);
    await untilSettled("r2", 2);
    const rings = await Promise.all(["r1", "r2", "r3"].map((id) => ask<RingBody>(id, "/ring")));
    expect(new Set(rings.map((ring) => JSON.stringify(ring))).size).toBe(1);
  }, 30_000);

  it("replaces a dead member by another, whose id is then free again", async () => {
    cluster = await startProcesses(4, { timing });
    const load = new Load(["r1", "r3"]);
    load.start(2);
    await pause(300);
    await load.stop();
    await cluster.kill("r2");
    const newcomer = await cluster.startNewcomer("r5", "b");
    const plan = await commit("r1", { remove: ["r2"], add: [newcomer] });
    await untilSettled("r1", plan.to);
    expect((await ask<RingBody>("r5", "/ring")).members.map(({ id }) => id)).not.toContain("r2");
    await untilPrimariesAgree("r5", [...load.acked.keys()]);
    await expectAllThere(["r1", "r5"], load);
    // What was deleted while the dead one was away is gone for good, though it comes back with its
    // data.
    const [key = ""] = load.acked.keys();
    const url = (id: string): string => `${cluster.urlOf(id)}/v1/kv/load/${key}`;
    expect((await fetch(url("r1"), { method: "DELETE" })).status).toBe(204);
    await cluster.start("r2");
    const again: Member = { id: "r2", zone: "b", url: cluster.urlOf("r2") };
    const back = await commit("r1", { add: [again] });
    await untilSettled("r1", back.to);
    expect((await fetch(`${url("r2")}?r=all`)).status).toBe(404);
    await untilPrimariesAgree("r2", [...load.acked.keys()]);
  }, 60_000);

  it("is called off, or refused with what is wrong", async () => {
    cluster = await startProcesses(3, { timing });
    const ghost = { id: "r9", zone: "a", url: "http://127.0.0.1:9" };
    expect(await refusalOf("r1", { abort: true })).toEqual([409, "ring-conflict"]);
    expect(await refusalOf("r1", { remove: ["r1"] })).toEqual([400, "invalid-request"]);
    expect(await refusalOf("r1", { remove: ["r8"] })).toEqual([400, "invalid-request"]);
    expect(await refusalOf("r1", { reweight: { r1: 1 } })).toEqual([400, "invalid-request"]);
    expect((await refusalOf("r1", { add: [ghost] }))[0]).toBe(202);
    expect(await refusalOf("r2", { reweight: { r1: 2 } })).toEqual([409, "ring-conflict"]);
    const { transfers, pending } = await ask<Transfers>("r2", "/transfers");
    expect(transfers.map(({ to }) => to)).toEqual(["r9"]);
    expect(pending).toBe(1);
    const { members } = await ask<{ members: { id: string; state: string }[] }>("r3", "");
    expect(members.map(({ id, state }) => `${id} ${state}`)).toContain("r9 joining");
    const put = await fetch(`${cluster.urlOf("r1")}/v1/kv/a/b`, { method: "PUT", body: "x" });
    expect(put.status).toBe(201);
    expect((await refusalOf("r3", { abort: true }))[0]).toBe(202);
    expect(await ask<Transfers>("r3", "/transfers")).toMatchObject({ phase: null, pending: 0 });
    expect((await ask<RingBody>("r3", "/ring")).version).toBe(1);
    expect((await refusalOf("r2", { reweight: { r1: 2 } }))[0]).toBe(202);
    await untilSettled("r1", 2);
  }, 60_000);
});
