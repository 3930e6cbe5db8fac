/**
 * A whole cluster in one process and without a network: the frontend, the nodes and their codec as
 * they are, stores in memory, messages as bytes in a queue. What it costs is our own work alone.
 */

import xxhash from "xxhash-wasm";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { decodeMessage, encodeMessage } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import { noPurges, PurgeIndex } from "../../core/purges.ts";
import type { Result, ResultOf } from "../../core/results.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { purgeSite } from "../../src/door/site-purge.ts";
import { hostClock } from "../../src/driver/host-clock.ts";
import { createApp, type Starling } from "../../src/frontend/app.ts";
import { noTokens } from "../../src/frontend/http/auth.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";
import { Node } from "../../src/node/node.ts";
import { benchDefaults } from "./sample-entries.ts";

const SECRET = new Uint8Array(16).fill(7);
const NEVER = { handoffMs: 0, antiEntropyMs: 0, heartbeatMs: 0, collectMs: 0 };

interface Member {
  readonly id: string;
  readonly node: Node;
}

export class Loopback {
  readonly #members = new Map<string, Member>();
  readonly #queue: { readonly from: string; readonly to: string; readonly bytes: Uint8Array }[] =
    [];
  readonly #waiting = new Map<number, (result: Result) => void>();
  readonly #now = hostClock(
    () => performance.now(),
    () => Date.now(),
  );
  readonly frontend: Starling;
  readonly nodes: readonly Node[];
  #lastToken = 0;
  #isRunning = false;
  messageCount = 0;
  byteCount = 0;

  /** Requests come in at a frontend that stores nothing, or else at the first replica. */
  static async start(nodeCount: number, frontend: "outside" | "inside"): Promise<Loopback> {
    return new Loopback(nodeCount, frontend, await xxhash());
  }

  private constructor(
    nodeCount: number,
    frontend: "outside" | "inside",
    keyHasher: Awaited<ReturnType<typeof xxhash>>,
  ) {
    const members = Array.from({ length: nodeCount }, (_, i) => ({
      ...{ id: `r${i + 1}`, zone: "abc"[i % 3] ?? "a", weight: 1 },
      url: `http://127.0.0.1:${i + 1}`,
    }));
    const ring = bootstrapRing({ name: "bench", partitions: 256, n: 3, members }, "7");
    const all = frontend === "outside" ? [{ id: "", zone: "a" }, ...members] : members;
    for (const [i, { id, zone }] of all.entries()) {
      const hash = new KeyedHash(SECRET);
      const document = { ring, namespaces: new Map() };
      const parts = { document, hash, keyHasher, timeoutMs: 2000, zoneIn: () => zone };
      const knowledge = new Knowledge({ ...parts, defaults: benchDefaults });
      const replica = { id, store: new MemoryStore(), ...NEVER };
      const rest = { tombstoneGraceMs: 1e9, suspectAfterMs: 1e9 };
      const node = new Node({
        knowledge,
        prng: Prng.fromSeed(i + 1),
        replica: id === "" ? null : { ...replica, ...rest },
      });
      this.#members.set(id, { id, node });
    }
    this.nodes = [...this.#members.values()].map(({ node }) => node);
    this.frontend = this.#makeFrontend();
  }

  #makeFrontend(): Starling {
    const [first] = this.#members.values();
    if (first === undefined) throw new Error("a cluster has nodes");
    const { knowledge } = first.node;
    const { ring, defaults, namespaces } = knowledge;
    const seen = { changes: new Map(), isReachable: () => true, lacks: null, version: "" };
    const cached = {
      sites: new Map(),
      purges: new PurgeIndex(noPurges),
      refusedVersions: new Map(),
    };
    const view = { ring, defaults, namespaces, ...seen, ...cached };
    return createApp({
      backend: {
        now: () => Date.now(),
        view: () => view,
        freshView: () => Promise.resolve(view),
        execute: <Asked extends Operation>(operation: Asked) =>
          this.execute(operation) as Promise<ResultOf<Asked["kind"]>>,
        fetchValues: (operation) => this.execute(operation) as Promise<ResultOf<"get">>,
        metrics: () => "",
      },
      secret: knowledge.hash,
      auth: () => noTokens,
      config: { openOnLoopback: true },
      purgeSite,
    });
  }

  /** At the first node. The answer is there when this returns, wrapped in a promise. */
  execute(operation: Operation): Promise<Result> {
    const token = ++this.#lastToken;
    return new Promise((resolve) => {
      this.#waiting.set(token, resolve);
      const [first] = this.#members.values();
      if (first !== undefined) {
        this.#step(first, { kind: "client", token, operation, trace: "" });
      }
      this.#deliver();
    });
  }

  #step({ id, node }: Member, input: Parameters<Node["step"]>[0]): void {
    for (const effect of node.step(input, this.#now())) {
      if (effect.kind === "send") {
        const bytes = encodeMessage(effect.message);
        this.messageCount++;
        this.byteCount += bytes.length;
        this.#queue.push({ from: id, to: effect.to, bytes });
      } else if (effect.kind === "answer") {
        this.#waiting.get(effect.token)?.(effect.result);
        this.#waiting.delete(effect.token);
      } else if (effect.kind === "flush") {
        this.#step({ id, node }, { kind: "flushed", token: effect.token, ok: true });
      }
    }
  }

  #deliver(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const member = this.#members.get(next.to);
      const message = decodeMessage(next.bytes);
      if (member !== undefined) this.#step(member, { kind: "message", from: next.from, message });
    }
    this.#isRunning = false;
  }
}
