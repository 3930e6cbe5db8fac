/** Another N for a namespace of Durable Objects, while clients read and write. */
import { runDurableObjectAlarm, runInDurableObject, SELF } from "cloudflare:test";
import { afterAll, describe, expect, it } from "vitest";
import { knowledge, silence, stubOf } from "./support.ts";

const IDS = ["r1", "r2", "r3", "r4", "r5"];
const KEYS = Array.from({ length: 200 }, (_, i) => `k${i}`);
const base = "http://localhost/v1";
/** A busy machine is slow, and that is no error. */
const PATIENT = "timeout=30000";

async function ask(path: string, init: RequestInit = {}): Promise<[number, string]> {
  const answer = await SELF.fetch(`${base}${path}`, init as object);
  return [answer.status, await answer.text()];
}

const put = (key: string): Promise<[number, string]> =>
  ask(`/kv/live/${key}?${PATIENT}`, { method: "PUT", body: key });

async function resize(n: number): Promise<void> {
  const [status] = await ask("/namespaces/live", { method: "PUT", body: JSON.stringify({ n }) });
  expect([200, 201]).toContain(status);
}

const namespacesInChange = async (): Promise<readonly unknown[]> =>
  (JSON.parse((await ask("/cluster/transfers"))[1]) as { namespaces: unknown[] }).namespaces;

/** Leaves the objects, which share the thread, time for their own work. */
const pause = (): Promise<unknown> => scheduler.wait(20);

/** Who holds a value of the key, asked of the objects' own tables. */
async function holders(): Promise<ReadonlyMap<string, readonly string[]>> {
  const held = new Map<string, string[]>();
  for (const id of IDS) {
    const keys = await runInDurableObject(stubOf(id), (_, { storage }) =>
      storage.sql
        .exec<{ key: ArrayBuffer }>("SELECT key FROM entries")
        .toArray()
        .map(({ key }) => new TextDecoder().decode(key)),
    );
    for (const key of keys) held.set(key, [...(held.get(key) ?? []), id]);
  }
  return held;
}

/** Lets alarms ring until the change is over, with clients at work all the while. */
async function changeTo(n: number, written: Set<string>): Promise<void> {
  let isOver = false;
  const wrong: unknown[] = [];
  const reader = async (r: number): Promise<void> => {
    for (let i = r; !isOver; i += 7) {
      const key = KEYS[i % KEYS.length] ?? "";
      const found = await ask(`/kv/live/${key}?r=${r}&${PATIENT}`);
      if (found[0] !== 200 || found[1] !== key) wrong.push(["read", r, key, ...found]);
      await pause();
    }
  };
  const writer = async (): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const key = i % 3 === 0 ? `new-${n}-${i}` : (KEYS[(i * 11) % KEYS.length] ?? "");
      const [status, text] = await put(key);
      if (status === 201 || status === 204) written.add(key);
      else wrong.push(["write", key, status, text]);
      await pause();
    }
  };
  const clients = [reader(1), reader(2), writer()];
  await resize(n);
  for (let round = 0; (await namespacesInChange()).length > 0; round++) {
    expect(round).toBeLessThan(100);
    for (const id of IDS) await runDurableObjectAlarm(stubOf(id));
  }
  isOver = true;
  await Promise.all(clients);
  expect(wrong).toEqual([]);
}

/** Every owner holds every key, and nobody else does. */
async function expectInPlace(n: number, keys: Iterable<string>): Promise<void> {
  const { ring } = await knowledge();
  const expected = [...keys].map((key) => {
    const held = `live\0${key}`;
    return [held, ring.primariesOf(ring.partitionOf(held), n).toSorted()] as const;
  });
  await expect
    .poll(
      async () => {
        for (const id of IDS) await runDurableObjectAlarm(stubOf(id));
        const held = await holders();
        return expected.filter(
          ([key, ids]) => [...(held.get(key) ?? [])].sort().join() !== ids.join(),
        );
      },
      { timeout: 100_000, interval: 50 },
    )
    .toEqual([]);
}

afterAll(() => silence(IDS));

describe("another N on Workers", () => {
  it("goes from 3 to 5 and to 2, and no client notices", async () => {
    await resize(3);
    const written = new Set<string>();
    expect(new Set((await Promise.all(KEYS.map(put))).map(String))).toEqual(new Set(["201,"]));
    for (const key of KEYS) written.add(key);
    await changeTo(5, written);
    await expectInPlace(5, written);
    await changeTo(2, written);
    await expectInPlace(2, written);
    expect(written.size).toBeGreaterThan(KEYS.length);
    const read = async (key: string): Promise<void> => {
      expect(await ask(`/kv/live/${key}?r=all&sloppy=false&${PATIENT}`)).toEqual([200, key]);
    };
    await Promise.all([...written].map(read));
  }, 280_000);
});
