/** Durable Objects join and leave a ring that clients read and write all the while. */
import { runDurableObjectAlarm, runInDurableObject, SELF } from "cloudflare:test";
import { afterAll, describe, expect, it } from "vitest";
import { ask, silence, stubOf } from "./support.ts";

const cluster = "http://localhost/v1/cluster";
const keyUrl = (i: number): string => `http://localhost/v1/kv/moving/k${i}`;
const KEY_COUNT = 60;
const keys = Array.from({ length: KEY_COUNT }, (_, i) => i);

async function json<T>(route: string, body?: object): Promise<T> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await SELF.fetch(`${cluster}${route}`, init);
  const value = (await answer.json()) as T;
  if (!answer.ok) throw new Error(`${route}: ${answer.status} ${JSON.stringify(value)}`);
  return value;
}

interface RingBody {
  readonly version: number;
  readonly members: readonly { readonly id: string }[];
  readonly assignment: readonly (readonly string[])[];
}

const put = async (i: number, value: string): Promise<number> => {
  const answer = await SELF.fetch(keyUrl(i), { method: "PUT", body: value });
  await answer.text();
  return answer.status;
};

/** Lets every alarm ring, with a write and a read between, until the change is over. */
async function carryOut(change: object, ids: readonly string[]): Promise<void> {
  const { to } = await json<{ to: number }>("/commit", change);
  for (let round = 0; (await json<RingBody>("/ring")).version < to; round++) {
    expect(round).toBeLessThan(60);
    for (const id of ids) await runDurableObjectAlarm(stubOf(id));
    const i = round % KEY_COUNT;
    expect([200, 201, 204]).toContain(await put(i, `round ${round}`));
    expect(await (await SELF.fetch(keyUrl(i))).text()).toBe(`round ${round}`);
    await put(i, `value ${i}`);
  }
}

/** Until no object wants to ring any more, but for what is due much later. */
async function rest(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const alarmAt = (): Promise<number | null> =>
      runInDurableObject(stubOf(id), (_, { storage }) => storage.getAlarm());
    for (let rings = 0; (await alarmAt()) !== null; rings++) {
      expect([id, rings < 40]).toEqual([id, true]);
      await runDurableObjectAlarm(stubOf(id));
    }
  }
}

const partitionsIn = (id: string): Promise<readonly number[]> =>
  runInDurableObject(stubOf(id), (_, { storage }) =>
    storage.sql
      .exec<{ tree: number }>("SELECT DISTINCT tree FROM leaf_sums WHERE sum <> 0")
      .toArray()
      .map(({ tree }) => Math.floor(tree / 8)),
  );

async function expectInPlace(ids: readonly string[]): Promise<void> {
  const { assignment } = await json<RingBody>("/ring");
  for (const id of ids) {
    // An alarm that rings by itself is no longer set, and may still be at work.
    const foreign = async (): Promise<readonly number[]> =>
      (await partitionsIn(id)).filter((p) => assignment[p]?.includes(id) !== true);
    await expect.poll(async () => [id, await foreign()], { timeout: 20_000 }).toEqual([id, []]);
  }
  for (const i of keys) {
    const got = await SELF.fetch(`${keyUrl(i)}?r=all&sloppy=false`);
    expect([i, got.status, await got.text()]).toEqual([i, 200, `value ${i}`]);
  }
}

afterAll(() => silence(["r1", "r2", "r3", "r4", "r5", "r6"]));

describe("members on Workers", () => {
  it("join and leave by a commit, with their data, and then all sleep again", async () => {
    for (const i of keys) expect(await put(i, `value ${i}`)).toBe(201);
    const before = ["r1", "r2", "r3", "r4", "r5"];
    await carryOut({ add: [{ id: "r6", zone: "weur" }] }, [...before, "r6"]);
    const ids = [...before, "r6"];
    expect((await json<RingBody>("/ring")).members.map(({ id }) => id)).toEqual(ids);
    await rest(ids);
    await expectInPlace(ids);
    expect((await partitionsIn("r6")).length).toBeGreaterThan(10);

    await carryOut({ remove: ["r1"] }, ids);
    const left = ids.slice(1);
    await rest(ids);
    await expectInPlace(left);
    // A removed replica owns nothing, whatever an old frontend believes.
    const held = { kind: "read", durably: false, key: "moving\0k1", digestOnly: false } as const;
    expect(await ask("r1", held)).toMatchObject({ kind: "stale" });
  });
});
