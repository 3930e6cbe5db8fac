/** A cluster with its cache doors in front of an origin, and other caches in front of the same. */
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  freePort,
  freePorts,
  isInstalled,
  makeDir,
  type RunningCluster,
  Server,
  startCluster,
} from "./processes.ts";

const ORIGIN = fileURLToPath(new URL("../servers/origin.ts", import.meta.url));
export const hasNginx = isInstalled("nginx");
export const hasVarnish = isInstalled("varnishd");

export interface Started {
  readonly url: string;
  readonly server: Server;
  stop(): Promise<void>;
}

export async function startOrigin(): Promise<Started> {
  const port = await freePort();
  const args = [ORIGIN, String(port)];
  const server = await Server.start({ program: process.execPath, args, readyText: "listening" });
  return { url: `http://127.0.0.1:${port}`, server, stop: () => server.stop() };
}

export interface DoorCluster extends RunningCluster {
  /** Of each node's door. */
  readonly doors: readonly string[];
}

/** @param site its members, as `PUT /v1/sites/default` takes them */
export async function startDoors(
  nodeCount: number,
  site: Readonly<Record<string, unknown>>,
): Promise<DoorCluster> {
  const doors = (await freePorts(nodeCount)).map((port) => `http://127.0.0.1:${port}`);
  const flagsOf = (i: number): readonly string[] => ["--cache-listen", doors[i] ?? ""];
  const cluster = await startCluster(nodeCount, { flagsOf });
  const body = JSON.stringify(site);
  const made = await fetch(`${cluster.urls[0]}/v1/sites/default`, { method: "PUT", body });
  if (!made.ok) throw new Error(`no site: ${await made.text()}`);
  for (const door of doors) await untilAnswers(door);
  return { ...cluster, doors };
}

async function untilAnswers(url: string): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    const answer = await fetch(`${url}/object/ready`).catch(() => null);
    await answer?.arrayBuffer();
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} does not answer`);
}

/** One worker, all in memory where it can, nothing logged. */
export async function startNginx(origin: string): Promise<Started> {
  const [dir, port] = [makeDir(), await freePort()];
  const file = join(dir, "nginx.conf");
  writeFileSync(
    file,
    `user root; daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/errors;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 10000000;
  client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f;
  uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  proxy_cache_path ${dir}/cache keys_zone=all:64m max_size=1g inactive=1h;
  server { listen 127.0.0.1:${port}; location / { proxy_pass ${origin}; proxy_cache all; } }
}
`,
  );
  const server = await Server.start({ program: "nginx", args: ["-c", file, "-p", dir] });
  return started(`http://127.0.0.1:${port}`, server, dir);
}

/** One pool of threads, all in memory. */
export async function startVarnish(origin: string): Promise<Started> {
  const [dir, port] = [makeDir(), await freePort()];
  // Its worker is another user.
  chmodSync(dir, 0o755);
  const server = await Server.start({
    program: "varnishd",
    args: [
      ...["-F", "-n", dir, "-a", `127.0.0.1:${port}`, "-b", origin.replace("http://", "")],
      ...["-s", "malloc,512m", "-p", "thread_pools=1"],
    ],
  });
  return started(`http://127.0.0.1:${port}`, server, dir);
}

async function started(url: string, server: Server, dir: string): Promise<Started> {
  await untilAnswers(url);
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  return { url, server, stop };
}

export interface Timed {
  /** Until the first byte of the head, in ms. */
  readonly firstByteMs: number;
  readonly wholeMs: number;
  readonly status: number;
  readonly cacheStatus: string;
}

/** One GET, its body thrown away as it comes. */
export function timedGet(url: string): Promise<Timed> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const asked = request(url, (response) => {
      const firstByteMs = performance.now() - startedAt;
      const cacheStatus = String(response.headers["cache-status"] ?? "");
      response.on("error", reject).on("end", () => {
        const wholeMs = performance.now() - startedAt;
        resolve({ firstByteMs, wholeMs, status: response.statusCode ?? 0, cacheStatus });
      });
      response.resume();
    });
    asked.on("error", reject).end();
  });
}
