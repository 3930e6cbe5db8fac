/** Runs the suite's client against a cache door, and the door in front of the suite's own origin. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { freePorts, startCluster } from "../support/cluster.ts";

export interface SuiteTest {
  readonly id: string;
  readonly kind?: "required" | "optimal" | "check";
  readonly depends_on?: readonly string[];
  readonly browser_only?: boolean;
}

export interface SuiteSection {
  readonly id: string;
  readonly name: string;
  readonly tests: readonly SuiteTest[];
}

/** true: passed; otherwise the kind of failure, and the reason. */
export type TestResult = true | readonly [kind: string, why: string];

export interface SuiteRun {
  readonly sections: readonly SuiteSection[];
  readonly results: Readonly<Record<string, TestResult>>;
}

interface Runner {
  /** The suite from npm takes a `fetch` as its second argument, the newer one uses its own. */
  readonly runTests: (...args: unknown[]) => Promise<void>;
  readonly getResults: () => SuiteRun["results"];
}

const load = async <T>(dir: string, path: string): Promise<T> =>
  (await import(pathToFileURL(join(dir, path)).href)) as T;

/** The client that the suite from npm was written for: Node's own adds directives to requests. */
const olderFetch = (dir: string): unknown => createRequire(join(dir, "package.json"))("node-fetch");

function startOrigin(dir: string, script: string, port: number): Promise<ChildProcess> {
  const settings = { protocol: "http", port: String(port), base: "", id: "", pidfile: "/dev/null" };
  const env = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`npm_config_${name}`, value]),
  );
  const child = spawn(process.execPath, ["--no-warnings", join(dir, script)], {
    cwd: dir,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  return new Promise((resolve, reject) => {
    child.stdout.on("data", (text: Buffer) => {
      if (text.includes("Listening")) resolve(child);
    });
    child.on("exit", (status) => reject(new Error(`the suite's origin ended with ${status}`)));
  });
}

async function untilServed(url: string): Promise<void> {
  while ((await fetch(url)).status === 421) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** @param site members of the site beside its origin */
export async function runSuite(dir: string, site: Record<string, unknown>): Promise<SuiteRun> {
  const isNew = existsSync(join(dir, "test-engine"));
  const engine = isNew ? "test-engine/" : "";
  const { runTests, getResults } = await load<Runner>(dir, `${engine}client/runner.mjs`);
  const { default: sections } = await load<{ default: SuiteSection[] }>(dir, "tests/index.mjs");
  const [port = 0] = await freePorts(1);
  const origin = await startOrigin(dir, `${engine}server/server.mjs`, port);
  const url = `http://127.0.0.1:${port}`;
  const cluster = await startCluster(1, { cache: { origin: url } });
  try {
    const [door = ""] = cluster.cacheUrls;
    await untilServed(`${door}/`);
    const body = JSON.stringify({ origin: url, ...site });
    await fetch(`${cluster.urls[0]}/v1/sites/default`, { method: "PUT", body });
    await (isNew
      ? runTests(sections, false, door)
      : runTests(sections, olderFetch(dir), false, door));
    return { sections, results: getResults() };
  } finally {
    origin.removeAllListeners("exit");
    origin.kill();
    await cluster.close();
  }
}
