/**
 * What clients see while replicas fail, by faults that the replicas are told to have. The same
 * cases hold on every host, also where nobody can kill a replica by hand.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

export interface FaultyHost {
  /** Frontends that all live; five replicas r1 to r5, N = 3. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

interface Explained {
  readonly preferenceList: readonly string[];
  readonly replicas: readonly {
    readonly id: string;
    readonly role: string;
    readonly entry: { readonly etag: string; readonly hintFor: string | null } | null;
  }[];
}

const REPLICAS = ["r1", "r2", "r3", "r4", "r5"];
const KEY_COUNT = 25;

export function availabilityContract(name: string, start: () => Promise<FaultyHost>): void {
  describe(`availability on ${name}`, () => {
    let host: FaultyHost;
    let round = 0;
    beforeAll(async () => {
      host = await start();
    });
    afterAll(() => host.close());
    afterEach(async () => {
      for (const id of REPLICAS) expect((await heal(id)).status).toBe(204);
    });

    const url = (i: number): string => host.urls[i % host.urls.length] as string;
    const faultAt = (id: string): string => `${url(0)}/v1/cluster/faults/${id}`;
    const heal = (id: string): Promise<Response> => fetch(faultAt(id), { method: "DELETE" });
    const suffer = async (id: string, fault: object): Promise<void> => {
      const body = JSON.stringify(fault);
      const answer = await fetch(faultAt(id), { method: "PUT", body });
      expect([id, answer.status]).toEqual([id, 200]);
    };
    const explain = async (key: string): Promise<Explained> =>
      (await (await fetch(`${url(0)}/v1/cluster/explain/faults/${key}`)).json()) as Explained;

    /** Default writes, reads and deletes, each read through another frontend. */
    async function expectService(): Promise<readonly string[]> {
      const keys = Array.from({ length: KEY_COUNT }, (_, i) => `round${round}-${i}`);
      round++;
      for (const [i, key] of keys.entries()) {
        const path = `/v1/kv/faults/${key}`;
        const written = await fetch(url(i) + path, { method: "PUT", body: key });
        // 204: the answer to a first attempt was lost, and the second found its value there.
        expect([key, [201, 204].includes(written.status)]).toEqual([key, true]);
        const got = await fetch(url(i + 1) + path);
        expect([key, got.status, await got.text()]).toEqual([key, 200, key]);
      }
      return keys;
    }

    async function pendingHints(): Promise<number> {
      const answer = await fetch(`${url(0)}/v1/cluster/handoff`, { method: "POST", body: "{}" });
      return ((await answer.json()) as { pending: number }).pending;
    }

    it("takes every default request while two of five are down, and then hands all over", async () => {
      await suffer("r2", { kind: "down" });
      await suffer("r3", { kind: "down" });
      const keys = await expectService();
      let fallbacks = 0;
      for (const key of keys) {
        const path = `${url(0)}/v1/kv/faults/${key}?w=all`;
        const answer = await fetch(path, { method: "PUT", body: key });
        expect(answer.status).toBe(204);
        fallbacks += Number(
          /fallbacks=(\d)/.exec(answer.headers.get("starling-quorum") ?? "")?.[1],
        );
      }
      expect(fallbacks).toBeGreaterThan(0);
      await heal("r2");
      await heal("r3");
      await expect.poll(pendingHints, { timeout: 20_000, interval: 100 }).toBe(0);
      for (const key of keys) {
        const { replicas } = await explain(key);
        const primaries = replicas.filter(({ role }) => role === "primary");
        const tags = new Set(primaries.map(({ entry }) => entry?.etag));
        expect([key, tags.size, tags.has(undefined)]).toEqual([key, 1, false]);
      }
    });

    it("refuses at once what strictness cannot have, with the numbers", async () => {
      const { preferenceList } = await explain("strict");
      const [first = "", second = ""] = preferenceList;
      await suffer(first, { kind: "down" });
      await suffer(second, { kind: "down" });
      const path = `${url(0)}/v1/kv/faults/strict?consistency=strict`;
      const read = await fetch(path);
      expect(read.status).toBe(503);
      expect(read.headers.get("retry-after")).not.toBeNull();
      const problem = (await read.json()) as { achieved: number };
      expect(problem).toMatchObject({ code: "quorum-unavailable", required: 2 });
      expect(problem.achieved).toBeLessThan(2);
      const write = await fetch(path, { method: "PUT", body: "x" });
      expect(write.status).toBe(503);
      expect(await write.json()).toMatchObject({ detail: expect.stringContaining("unknown") });
    });

    it("goes on while one is silent, and says 504 where the silent one has to be asked", async () => {
      const { preferenceList } = await explain("silence");
      const [first = ""] = preferenceList;
      await suffer(first, { kind: "silent" });
      await expectService();
      const all = await fetch(`${url(0)}/v1/kv/faults/silence?r=3&pr=3&timeout=300`);
      // Once it is suspected nobody waits that long for it.
      expect([503, 504]).toContain(all.status);
      expect(await all.json()).toMatchObject({ required: 3, achieved: 2 });
    });

    it("goes on while one is slow and another loses a third of its messages", async () => {
      await suffer("r1", { kind: "slow", ms: 400 });
      await suffer("r4", { kind: "lossy", share: 0.33 });
      await expectService();
    });

    it("lets a client read its own writes at r=1, whoever of the three is away", async () => {
      const path = "/v1/kv/faults/session";
      const { preferenceList } = await explain("session");
      for (const away of preferenceList.slice(0, 3)) {
        await suffer(away, { kind: "down" });
        const written = await fetch(`${url(0)}${path}?w=1`, { method: "PUT", body: away });
        expect(written.status).toBeLessThan(300);
        const context = written.headers.get("starling-context") ?? "";
        await heal(away);
        for (let i = 0; i < 5; i++) {
          const headers = { "Starling-Context": context };
          const got = await fetch(`${url(i)}${path}?r=1`, { headers });
          expect([got.status, await got.text()]).toEqual([200, away]);
        }
      }
    });

    it("says which faults there are, and takes none that is none", async () => {
      await suffer("r5", { kind: "slow", ms: 1, forMs: 60_000 });
      const listed = await fetch(`${url(0)}/v1/cluster/faults`);
      const until = expect.stringMatching(/^\d{4}-/);
      expect(await listed.json()).toEqual({ faults: { r5: { kind: "slow", ms: 1, until } } });
      const bad = [{ kind: "dead" }, { kind: "slow" }, { kind: "lossy", share: 2 }, { forMs: -1 }];
      for (const fault of [...bad, { kind: "down", more: 1 }, [], { kind: "down", forMs: 1e9 }]) {
        const answer = await fetch(faultAt("r5"), { method: "PUT", body: JSON.stringify(fault) });
        expect([fault, answer.status]).toEqual([fault, 400]);
      }
      expect((await fetch(faultAt("r9"), { method: "DELETE" })).status).toBe(404);
    });
  });
}
