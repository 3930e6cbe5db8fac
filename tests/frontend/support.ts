/** An app in front of a Map, and requests to it with the raw target as a host would hand it in. */

import xxhash from "xxhash-wasm";
import { parseClusterConfig } from "../../ring/cluster-config.ts";
import { bootstrapRing, Ring } from "../../ring/ring.ts";
import { purgeSite } from "../../src/door/site-purge.ts";
import { createApp, type Starling } from "../../src/frontend/app.ts";
import { type Auth, noTokens, parseTokens } from "../../src/frontend/http/auth.ts";
import type { EventLog } from "../../src/frontend/http/trace.ts";
import { MemoryBackend, testHash } from "./memory-backend.ts";

export interface TestApp {
  readonly app: Starling["app"];
  readonly answerKey: Starling["answerKey"];
  readonly backend: MemoryBackend;
  call(method: string, target: string, init?: RequestInit): Promise<Response>;
  /** A PUT of a text. */
  put(target: string, body: string, headers?: Record<string, string>): Promise<Response>;
  get(target: string, headers?: Record<string, string>): Promise<Response>;
}

export interface TestAppOptions {
  readonly auth?: Auth;
  readonly openOnLoopback?: boolean;
  readonly log?: EventLog;
  readonly corsOrigins?: readonly string[];
}

export async function testRing(): Promise<Ring> {
  const members = ["a", "b", "a"].map((zone, i) => ({
    id: `r${i + 1}`,
    zone,
    url: `http://127.0.0.1:${i + 1}`,
  }));
  const config = parseClusterConfig({ name: "t", partitions: 8, n: 3, members });
  return new Ring(bootstrapRing(config, "7"), await xxhash());
}

export async function makeApp(options: TestAppOptions = {}): Promise<TestApp> {
  const { auth = noTokens, openOnLoopback = true, log = () => {}, corsOrigins = [] } = options;
  const backend = new MemoryBackend(await testRing());
  const config = { openOnLoopback, corsOrigins };
  const { app, answerKey } = createApp({
    backend,
    secret: testHash,
    auth: () => auth,
    config,
    purgeSite,
    log,
  });
  const call: TestApp["call"] = async (method, target, init = {}) => {
    const request = new Request("http://localhost/", { ...init, method });
    return app.fetch(request, { rawPath: target });
  };
  return {
    app,
    answerKey,
    backend,
    call,
    put: (target, body, headers = {}) => call("PUT", target, { body, headers }),
    get: (target, headers = {}) => call("GET", target, { headers }),
  };
}

export const tokensOf = (tokens: readonly unknown[]): Auth =>
  parseTokens(JSON.stringify({ tokens }));

export interface ProblemBody {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly option?: string;
  readonly limit?: number;
}

export async function problemOf(response: Response): Promise<ProblemBody> {
  return (await response.json()) as ProblemBody;
}
