/** Other stores to measure beside, where they are installed: three nodes of etcd 3, one redis. */
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort, freePorts, isInstalled, makeDir, Server } from "./processes.ts";

const run = promisify(execFile);
export const hasEtcd = isInstalled("etcd");
export const hasRedis = isInstalled("redis-server") && isInstalled("redis-benchmark");

export interface Other {
  readonly url: string;
  readonly servers: readonly Server[];
  stop(): Promise<void>;
}

export async function startEtcd(): Promise<Other> {
  const dir = makeDir();
  const ports = await freePorts(6);
  const at = (i: number): string => `http://127.0.0.1:${ports[i]}`;
  const cluster = [0, 1, 2].map((i) => `e${i}=${at(3 + i)}`).join(",");
  const servers = await Promise.all(
    [0, 1, 2].map((i) =>
      Server.start({
        program: "etcd",
        args: [
          ...["--name", `e${i}`, "--data-dir", join(dir, `e${i}`)],
          ...["--listen-client-urls", at(i), "--advertise-client-urls", at(i)],
          ...["--listen-peer-urls", at(3 + i), "--initial-advertise-peer-urls", at(3 + i)],
          ...["--initial-cluster", cluster, "--initial-cluster-state", "new"],
          ...["--quota-backend-bytes", "4000000000"],
        ],
        readyText: "ready to serve client requests",
      }),
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(dir, { recursive: true });
  };
  return { url: at(0), servers, stop };
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The key in base64. The six digits of its number, with two more, are base64 of six bytes. */
const etcdKey = `${base64("bench/key")}00%d`;

/** Bodies of etcd's HTTP gateway. A range is linearizable unless it says otherwise. */
export const etcdPut = (value: string): string =>
  JSON.stringify({ key: etcdKey, value: base64(value) });
export const etcdRange = JSON.stringify({ key: etcdKey });

export async function startRedis(): Promise<Other> {
  const dir = makeDir();
  const port = await freePort();
  const server = await Server.start({
    program: "redis-server",
    args: ["--port", String(port), "--dir", dir, "--save", "", "--appendonly", "no"],
    readyText: "Ready to accept connections",
  });
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(dir, { recursive: true });
  };
  return { url: String(port), servers: [server], stop };
}

/** SETs or GETs a second by redis's own generator and protocol. */
export async function redisRate(port: string, command: "set" | "get"): Promise<number> {
  const size = ["-c", "48", "-d", "1024", "-r", "10000", "-n", "40000"];
  const { stdout } = await run("redis-benchmark", ["-p", port, "-t", command, ...size, "--csv"]);
  const line = stdout.split("\n").find((text) => text.toLowerCase().startsWith(`"${command}"`));
  return Number(line?.split(",")[1]?.replaceAll('"', ""));
}
