import {
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
  SELF,
} from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { applyMint, emptyEntry } from "../../core/entry.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import { ACKS, type Ack } from "../../core/message-values.ts";
import { messageFromList, type RequestOf } from "../../core/messages.ts";
import { hlcFromMillis } from "../../core/time.ts";
import type { ReplicaObject } from "../../worker/replica-object.ts";
import { messageToWire, type Wire } from "../../worker/wire.ts";
import { ask, env, knowledge, stubOf } from "./support.ts";

const base = "http://localhost";
const READ = { kind: "read", durably: false } as const;
const REPLY = { type: "reply", call: 1 } as const;

/** An entry with one live value: nothing of it is ever due. */
function anEntry(): Uint8Array {
  const dot = { actor: "AAAAAAAA", counter: 1 };
  const time = hlcFromMillis(Date.now());
  const none = { contentEncoding: null, contentLanguage: null, contentDisposition: null };
  const value = new Uint8Array([1, 2, 3]);
  const content = { ...none, value, contentType: "text/plain", metadata: null, tags: [] };
  const sibling = { dot, time, op: "an-op", expiresAt: 0, content };
  const mint = { sibling, covers: CausalContext.empty, isRetry: false };
  return encodeEntry(applyMint(emptyEntry, mint), null);
}

const storing = (key: string, more: { ack: Ack; hintFor?: string }): RequestOf<"store"> => ({
  kind: "store",
  key: `test\0${key}`,
  entry: anEntry(),
  hintFor: null,
  tells: false,
  ...more,
});

const countIn = (id: string, table: string): Promise<number> =>
  runInDurableObject(stubOf(id), (_, { storage }) =>
    Number(storage.sql.exec(`SELECT COUNT(*) AS n FROM ${table}`).one()["n"]),
  );

/** How the object refuses what it does not take; asked inside, where the error can be caught. */
const refusal = (id: string, wire: Wire, as = id): Promise<string> =>
  runInDurableObject(stubOf(id), (object) =>
    (object as ReplicaObject).exchange(as, wire).then(
      () => "it took them",
      (error: Error) => error.message,
    ),
  );

describe("a replica's RPC", () => {
  it("answers a request with the reply to it", async () => {
    expect(await ask("r1", { kind: "ping" })).toEqual({ kind: "pong" });
    const held = await ask("r1", { ...READ, key: "test\0nothing", digestOnly: false });
    expect(held).toMatchObject({ kind: "held", digest: 0, entry: null });
  });

  it.each(ACKS)("answers a store with ack=%s once, durably where that is asked", async (ack) => {
    const reply = await ask("r1", storing(`ack-${ack}`, { ack }));
    expect(reply).toEqual({ kind: "stored", durable: ack !== "received" });
  });

  it("refuses what is no request, and goes on", async () => {
    expect(await refusal("r1", [])).toContain("a message names its call");
    expect(await refusal("r1", [1, null, 2, 3, ""])).toContain("not a list");
    expect(await refusal("r1", messageToWire({ ...REPLY, body: { kind: "pong" } }))).toContain(
      "sent requests",
    );
    expect(await ask("r1", { kind: "ping" })).toEqual({ kind: "pong" });
  });

  it("refuses a request of a kind that only a newer version knows", async () => {
    const { stamp } = await knowledge();
    const newer = [7, [999, 1], stamp, 2000, ""] as unknown as Wire;
    const answer = messageFromList(await stubOf("r1").exchange("r1", newer));
    expect(answer.body).toEqual({ kind: "refused", code: "unknown-request" });
  });

  it("is one replica for ever", async () => {
    await ask("r1", { kind: "ping" });
    const ping = { type: "request", call: 1, stamp: 0, budgetMs: 2000, trace: "" } as const;
    const wire = messageToWire({ ...ping, body: { kind: "ping" } });
    expect(await refusal("r1", wire, "r2")).toContain("one replica for ever");
  });

  it("takes nothing by fetch but the socket of a feed's bell", async () => {
    const stub = stubOf("r1");
    const url = "https://replica/v1/kv/demo/kept";
    for (const method of ["GET", "PUT", "POST", "DELETE"]) {
      expect((await stub.fetch(url, { method })).status, method).toBe(426);
    }
    const headers = { Upgrade: "websocket" };
    expect((await stub.fetch(url, { headers })).status).toBe(426);
    const bell = await stub.fetch("https://replica/bell?namespace=demo", { headers });
    expect(bell.status).toBe(101);
    bell.webSocket?.accept();
    bell.webSocket?.close(1000);
  });
});

describe("a replica that is evicted", () => {
  it("keeps entries, hints, totals and its incarnation", async () => {
    await ask("r2", storing("kept", { ack: "durable" }));
    await ask("r2", storing("hinted", { ack: "durable", hintFor: "r5" }));
    const incarnation = (): Promise<number[]> =>
      runInDurableObject(stubOf("r2"), (_, { storage }) => {
        const query = "SELECT bytes FROM meta WHERE name = 'incarnation'";
        return [...new Uint8Array(storage.sql.exec(query).one()["bytes"] as ArrayBuffer)];
      });
    const before = await incarnation();
    await evictDurableObject(stubOf("r2"));
    const held = await ask("r2", { ...READ, key: "test\0kept", digestOnly: true });
    expect(held).toMatchObject({ kind: "held", isUnknown: false });
    expect(held).not.toMatchObject({ digest: 0 });
    const { hints } = (await ask("r2", { kind: "inspect", key: "test\0hinted" })) as {
      hints: readonly unknown[];
    };
    expect(hints).toHaveLength(1);
    expect(await incarnation()).toEqual(before);
  });
});

describe("a step that fails", () => {
  it("leaves nothing behind, and the object stands up again", async () => {
    await ask("r3", { kind: "ping" });
    const before = await countIn("r3", "entries");
    await runInDurableObject(stubOf("r3"), (_, { storage }) => {
      storage.sql.exec("DROP TABLE leaf_sums");
    });
    // The record is written, then its leaf's sum cannot be.
    await expect(ask("r3", storing("torn", { ack: "durable" }))).rejects.toThrow();
    expect(await ask("r3", { kind: "ping" })).toEqual({ kind: "pong" });
    expect(await countIn("r3", "entries")).toBe(before);
    expect(await ask("r3", storing("torn", { ack: "durable" }))).toMatchObject({ durable: true });
    expect(await countIn("r3", "entries")).toBe(before + 1);
    expect(await countIn("r3", "leaf_sums")).toBeGreaterThan(0);
  });
});

describe("what a replica holds in all", () => {
  const totals = async (): Promise<readonly number[]> => {
    const reply = await ask("r4", { kind: "status" });
    if (reply.kind !== "report") throw new Error(reply.kind);
    return [reply.status.keyCount, reply.status.byteCount];
  };

  it("is known after a sleep that no alarm came before", async () => {
    for (const name of ["one", "two"]) await ask("r4", storing(name, { ack: "durable" }));
    const before = await totals();
    expect(before[0]).toBeGreaterThanOrEqual(2);
    await evictDurableObject(stubOf("r4"));
    expect(await totals()).toEqual(before);
  });

  it("is as before where an alarm cannot write it", async () => {
    await ask("r4", storing("three", { ack: "durable" }));
    const before = await totals();
    await runInDurableObject(stubOf("r4"), (_, { storage }) => {
      storage.sql.exec("ALTER TABLE usage RENAME TO elsewhere");
    });
    await expect(runDurableObjectAlarm(stubOf("r4"))).rejects.toThrow();
    await runInDurableObject(stubOf("r4"), (_, { storage }) => {
      storage.sql.exec("DROP TABLE IF EXISTS usage");
      storage.sql.exec("ALTER TABLE elsewhere RENAME TO usage");
    });
    await evictDurableObject(stubOf("r4"));
    expect(await totals()).toEqual(before);
  });
});

describe("a deployment whose first ring has changed", () => {
  it("does not serve from replicas that began with another", async () => {
    await ask("r9", { kind: "ping" });
    await runInDurableObject(stubOf("r9"), (_, { storage }) =>
      storage.kv.put("cluster-origin", "another 1 256 3"),
    );
    await evictDurableObject(stubOf("r9"));
    const ping = { type: "request", call: 1, stamp: 0, budgetMs: 2000, trace: "" } as const;
    const wire = messageToWire({ ...ping, body: { kind: "ping" } });
    expect(await refusal("r9", wire)).toContain("put it back");
  });
});

describe("a replica's alarm", () => {
  it("rings after a write and falls silent on an idle deployment", async () => {
    const url = `${base}/v1/kv/worker/alarm?w=all`;
    await (await SELF.fetch(url, { method: "PUT", body: "v" })).text();
    const explain = await SELF.fetch(`${base}/v1/cluster/explain/worker/alarm`);
    const { preferenceList } = (await explain.json()) as { preferenceList: string[] };
    const stub = stubOf(preferenceList[0] ?? "");
    const alarmAt = (): Promise<number | null> =>
      runInDurableObject(stub, (_, state) => state.storage.getAlarm());
    expect(await alarmAt()).not.toBeNull();
    let rings = 0;
    while (rings < 20 && (await runDurableObjectAlarm(stub))) rings++;
    expect(rings).toBeGreaterThan(0);
    expect(rings).toBeLessThan(20);
    expect(await alarmAt()).toBeNull();
  });

  it("compares with all peers at once when it was asleep, and then rests", async () => {
    const names = env.STARLING_REPLICAS.split(",").map((item) => item.split(":")[0] ?? "");
    expect(names).toContain("r5");
    await ask("r5", storing("asleep", { ack: "durable" }));
    await evictDurableObject(stubOf("r5"));
    expect(await runDurableObjectAlarm(stubOf("r5"))).toBe(true);
    const plan = await runInDurableObject(stubOf("r5"), (_, { storage }) =>
      storage.kv.get<string>("alarm-plan"),
    );
    expect(JSON.parse(plan ?? "null")).toMatchObject({ comparisonsLeft: 0 });
  });

  it("is set for the time at which a tombstone may be collected", async () => {
    const url = `${base}/v1/kv/worker/tombstone?w=all`;
    await (await SELF.fetch(url, { method: "DELETE" })).text();
    const explain = await SELF.fetch(`${base}/v1/cluster/explain/worker/tombstone`);
    const { preferenceList } = (await explain.json()) as { preferenceList: string[] };
    const stub = stubOf(preferenceList[0] ?? "");
    for (let i = 0; i < 8; i++) await runDurableObjectAlarm(stub);
    const alarmAt = await runInDurableObject(stub, (_, state) => state.storage.getAlarm());
    expect((alarmAt ?? 0) - Date.now()).toBeGreaterThan(3_000_000);
  });
});
