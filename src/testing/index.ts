/**
 * `starling-cache/testing`: a whole cluster in one process, for tests of what stands on Starling.
 * Nodes, frontend and messages are the real ones; stores are in memory and there is no network.
 * With virtual time a test says how time goes on: a TTL of an hour, or the time-out of a dead node,
 * takes no time at all.
 */

import type { Hono } from "hono";
import xxhash from "xxhash-wasm";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { decodeMessage, encodeMessage, type Message } from "../../core/messages.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import { Prng } from "../../core/prng.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { timingDefaults } from "../../ring/cluster-config.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import type { RingDocument } from "../../ring/ring-document.ts";
import { type ClientOptions, StarlingClient } from "../client/index.ts";
import { purgeSite } from "../door/site-purge.ts";
import { Driver } from "../driver/driver.ts";
import { backendOf } from "../driver/driver-backend.ts";
import { createApp } from "../frontend/app.ts";
import type { StarlingEnv } from "../frontend/backend/call.ts";
import { noTokens } from "../frontend/http/auth.ts";
import { Knowledge } from "../node/knowledge/knowledge.ts";
import { Node } from "../node/node.ts";
import { realTime, type TestTime, VirtualTime } from "./time.ts";

export interface TestClusterOptions {
  /** How many nodes, 1 to 50; default 3. They are called r1, r2, … */
  readonly nodes?: number;
  /** How many replicas a key has, at most the number of nodes; default 3. */
  readonly n?: number;
  /** Zones in turn; default a, b, c. */
  readonly zones?: readonly string[];
  /** `virtual`: time stands still but for `advance`. Default `real`. */
  readonly time?: "real" | "virtual";
  /** With virtual time, when it begins, in ms since 1970; default 2026-01-01. */
  readonly startsAt?: number;
  /** Decides everything that is left to chance; default 1. */
  readonly seed?: number;
}

const NODES_MAX = 50;
const STARTS_AT = Date.UTC(2026, 0, 1);
/** Protects nothing: nothing outside of this process can reach the cluster. */
const SECRET = new Uint8Array(16).fill(1);
const BASE_URL = "http://localhost";

function wholeIn(name: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new RangeError(`${name} must be a whole number from 1 to ${most}`);
}

interface Member {
  readonly driver: Driver;
  readonly app: Hono<StarlingEnv>;
  isUp: boolean;
}

type Hasher = Awaited<ReturnType<typeof xxhash>>;

export class TestCluster {
  readonly ids: readonly string[];
  readonly #members = new Map<string, Member>();
  readonly #time: TestTime;

  /** @throws RangeError when an option is out of its range */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options, await xxhash());
    for (const { driver } of cluster.#members.values()) driver.wake();
    return cluster;
  }

  private constructor(options: TestClusterOptions, hasher: Hasher) {
    const { startsAt = STARTS_AT, seed = 1, zones = ["a", "b", "c"] } = options;
    const count = wholeIn("nodes", options.nodes ?? 3, NODES_MAX);
    const n = wholeIn("n", options.n ?? Math.min(3, count), count);
    this.#time = options.time === "virtual" ? new VirtualTime(startsAt) : realTime();
    this.ids = Array.from({ length: count }, (_, i) => `r${i + 1}`);
    const members = this.ids.map((id, i) => {
      const zone = zones[i % zones.length] ?? "a";
      return { id, zone, weight: 1, url: `${BASE_URL}:${i + 1}` };
    });
    const ring = bootstrapRing({ name: "test", partitions: 256, n, members }, String(seed));
    for (const [i, { id, zone }] of members.entries()) {
      const prng = Prng.fromSeed(seed * NODES_MAX + i);
      this.#members.set(id, this.#memberOf({ id, zone, n, ring, prng, hasher }));
    }
  }

  /** The frontend of one node, by default of the first that runs: a hono app, to be mounted. */
  app(id?: string): Hono<StarlingEnv> {
    return this.#member(id).app;
  }

  /** Asks as `fetch` does; the host of the URL says nothing. */
  async fetch(url: string, init?: RequestInit): Promise<Response> {
    const request = new Request(new URL(url, BASE_URL), init);
    const { pathname, search } = new URL(request.url);
    return this.app().fetch(request, { rawPath: pathname + search });
  }

  /** A client of this cluster; it goes on when nodes are stopped. */
  client(options: Omit<ClientOptions, "url" | "fetch">): StarlingClient {
    const ask = (input: string | URL, init?: RequestInit): Promise<Response> =>
      this.fetch(String(input), init);
    return new StarlingClient({ ...options, url: BASE_URL, fetch: ask as typeof fetch });
  }

  /** Cuts a node off, as if its machine were gone; what it has stored is kept. */
  stop(id: string): void {
    this.#member(id).isUp = false;
  }

  /** Lets a node that was stopped be reached again. */
  restart(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) throw new RangeError(`there is no node "${id}"`);
    member.isUp = true;
    member.driver.wake();
  }

  /** Lets that much virtual time pass, in ms. @throws Error when the cluster's time is real */
  async advance(ms: number): Promise<void> {
    if (!(this.#time instanceof VirtualTime)) {
      throw new Error(`time is real: start the cluster with { time: "virtual" }`);
    }
    await this.#time.advance(ms);
  }

  /** Ends all that goes on by itself. */
  close(): void {
    for (const { driver } of this.#members.values()) driver.close();
  }

  #member(id: string | undefined): Member {
    const wanted = id ?? this.ids.find((other) => this.#members.get(other)?.isUp === true);
    const member = wanted === undefined ? undefined : this.#members.get(wanted);
    if (member?.isUp === true) return member;
    throw new RangeError(id === undefined ? "no node runs" : `no node "${id}" runs`);
  }

  #memberOf(of: {
    readonly id: string;
    readonly zone: string;
    readonly n: number;
    readonly ring: RingDocument;
    readonly prng: Prng;
    readonly hasher: Hasher;
  }): Member {
    const { id, zone, n, ring, prng, hasher } = of;
    const hash = new KeyedHash(SECRET);
    const { requestTimeoutMs: timeoutMs } = timingDefaults;
    const document = { ring, namespaces: new Map() };
    const defaults = defaultSettings(n);
    const known = { document, hash, keyHasher: hasher, timeoutMs, zoneIn: () => zone, defaults };
    const replica = { id, store: new MemoryStore(), ...timingDefaults, canaryMs: 0 };
    const node = new Node({ knowledge: new Knowledge(known), prng, replica });
    const driver: Driver = new Driver(node, {
      now: () => this.#time.now(),
      setTimer: (callback, delayMs) => this.#time.setTimer(callback, delayMs),
      send: (to, message) => this.#send(id, to, message),
      flush: () => Promise.resolve(),
    });
    const { app } = createApp({
      backend: backendOf(driver, { metrics: () => "" }),
      secret: hash,
      auth: () => noTokens,
      config: { openOnLoopback: true },
      purgeSite,
    });
    return { driver, app, isUp: true };
  }

  /** Sent as bytes, so that no two nodes share any object. */
  #send(from: string, to: string, message: Message): void {
    const bytes = encodeMessage(message);
    queueMicrotask(() => {
      const [sender, receiver] = [this.#members.get(from), this.#members.get(to)];
      if (sender?.isUp === true && receiver?.isUp === true) {
        receiver.driver.receive(from, decodeMessage(bytes));
      } else if (message.type === "request") sender?.driver.unreachable(to, message.call, true);
    });
  }
}
