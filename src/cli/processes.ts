/**
 * `starling dev / node / cluster / check`: what runs nodes, or looks at a stopped node's folder.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import xxhash from "xxhash-wasm";
import type { DoorOptions } from "../local/cache/start-door.ts";
import { refuseTakenPort } from "../local/http/listening.ts";
import type { TlsFiles } from "../local/identity/certificates.ts";
import type { CheckReport } from "../local/log/check.ts";
import { jsonLog, type Log } from "../local/process/logger.ts";
import { ChildNodes } from "./child-nodes.ts";
import { type Plan, writeClusterFile } from "./cluster-file.ts";
import { trust } from "./http.ts";
import { CliError, failWith, printable, printJson, say, UsageError, warn } from "./output.ts";
import { plainFetch } from "./plain-fetch.ts";
import { untilReady } from "./readiness.ts";

/** How long listening nodes may take to get what they own before their addresses are shown. */
const READY_MS_MAX = 30_000;

function whole(name: string, text: string, range: readonly [number, number]): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= range[0] && value <= range[1]) return value;
  throw new UsageError(`--${name} takes a whole number from ${range[0]} to ${range[1]}`);
}

/** @param caFile the authority that clients have to be given; absent: they know it already */
function sayHowToTry(url: string, caFile?: string): void {
  const curl = caFile === undefined ? "curl" : `curl --cacert ${caFile}`;
  say("Try it:");
  say(`  ${curl} -i -X PUT ${url}/v1/kv/demo/hello -H 'Content-Type: text/plain' -d 'Hello, ring'`);
  say(`  ${curl} -i ${url}/v1/kv/demo/hello`);
  say(`  ${curl} -s ${url}/v1/cluster/explain/demo/hello`);
  say(`  or open ${url}/ui`);
}

function sayHowToTryTheCache(url: string, origin: string | undefined): void {
  const where = origin === undefined ? 'of what "starling sites set" names' : `of ${origin}`;
  say(`The cache ${where} is at ${url}`);
  say(`  curl -i ${url}/`);
}

/**
 * One Ctrl-C may come twice: from the terminal, which tells the whole group, and from npx or
 * bin/starling.js, which passes on what it was told.
 */
const SAME_PRESS_MS = 500;

interface Stop {
  /** Resolves with the first signal to stop; a second one ends the process at once. */
  readonly asked: Promise<void>;
  isAsked(): boolean;
}

function listenForStop(): Stop {
  const asked = Promise.withResolvers<void>();
  let stoppedAt = Infinity;
  const stop = (): void => {
    if (performance.now() > stoppedAt + SAME_PRESS_MS) process.exit(1);
    stoppedAt = Math.min(stoppedAt, performance.now());
    asked.resolve();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return { asked: asked.promise, isAsked: () => stoppedAt < Infinity };
}

interface TlsFlags {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

function tlsFiles({ tlsCert, tlsKey, tlsCa }: TlsFlags): TlsFiles | undefined {
  if (tlsCert !== undefined && tlsKey !== undefined) {
    return { certFile: tlsCert, keyFile: tlsKey, caFile: tlsCa };
  }
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  throw new UsageError("--tls-cert and --tls-key go together, --tls-ca goes with them");
}

const tlsArgs = ({ certFile, keyFile, caFile }: TlsFiles): readonly string[] => [
  ...["--tls-cert", certFile, "--tls-key", keyFile],
  ...(caFile === undefined ? [] : ["--tls-ca", caFile]),
];

interface NodeFlags extends TlsFlags {
  readonly cluster: string;
  readonly id: string;
  readonly data: string;
  readonly secretFile?: string;
  readonly dataSecretFile?: string;
  readonly tokensFile?: string;
  readonly listen?: string;
  readonly corsOrigins?: string;
  readonly faults?: boolean;
  readonly cacheListen?: string;
  readonly origin?: string;
}

/** The cache door of a node. @throws UsageError */
function doorOptions({ cacheListen, origin }: NodeFlags): DoorOptions | undefined {
  if (cacheListen === undefined) {
    if (origin === undefined) return undefined;
    throw new UsageError("--origin goes with --cache-listen");
  }
  const isUrl = URL.canParse(cacheListen) && /^https?:$/.test(new URL(cacheListen).protocol);
  if (!isUrl) throw new UsageError(`--cache-listen: "${cacheListen}" is no URL of http`);
  return { url: new URL(cacheListen), origin };
}

/** SIGHUP makes the node read files again, and would end a process that does not listen for it. */
function listenForReload(): (reload: () => Promise<void>) => void {
  let reload: (() => Promise<void>) | undefined;
  let isDue = false;
  process.on("SIGHUP", () => {
    if (reload === undefined) isDue = true;
    else void reload();
  });
  return (given) => {
    reload = given;
    if (isDue) void given();
  };
}

async function runNode(flags: NodeFlags): Promise<void> {
  const started = listenForReload();
  const { startNode } = await import("../local/serve.ts");
  const { letHeapGrow } = await import("../local/process/heap-growth.ts");
  letHeapGrow();
  const log = nodeLog(flags.id);
  const stop = listenForStop();
  const node = await startNode({
    clusterFile: flags.cluster,
    id: flags.id,
    dataDir: flags.data,
    secretFile: flags.secretFile,
    dataSecretFile: flags.dataSecretFile,
    tokensFile: flags.tokensFile,
    tls: tlsFiles(flags),
    listen: flags.listen,
    corsOrigins: flags.corsOrigins,
    takesFaults: flags.faults === true,
    cache: doorOptions(flags),
    log,
  });
  started(() => node.reload());
  const why = await Promise.race([stop.asked, node.ended]);
  await node.close();
  if (why !== undefined) throw new CliError(why);
  process.exit(0);
}

/** The first line says that the node listens: what was logged earlier comes after it. */
function nodeLog(id: string): Log {
  const log = jsonLog(process.stderr, { id });
  const early: Parameters<Log>[] = [];
  let isListening = false;
  return (event, fields) => {
    if (event === "listening") {
      isListening = true;
      log(event, fields);
      for (const [name, more] of early) log(name, more);
    } else if (isListening) log(event, fields);
    else early.push([event, fields]);
  };
}

interface ClusterFlags extends TlsFlags {
  readonly nodes: string;
  readonly basePort: string;
  readonly data: string;
  readonly corsOrigins?: string;
  readonly faults?: boolean;
  readonly cacheBasePort?: string;
  readonly origin?: string;
}

/** Of each node's cache door; none without `--cache-base-port`. @throws UsageError */
function doorUrls(flags: ClusterFlags, count: number, scheme: string): readonly string[] {
  const { cacheBasePort, origin } = flags;
  if (cacheBasePort === undefined) {
    if (origin === undefined) return [];
    throw new UsageError("--origin goes with --cache-base-port");
  }
  const base = whole("cache-base-port", cacheBasePort, [1, 65_535 - count]);
  return Array.from({ length: count }, (_, i) => `${scheme}://127.0.0.1:${base + i + 1}`);
}

async function runCluster(flags: ClusterFlags): Promise<void> {
  const count = whole("nodes", flags.nodes, [1, 64]);
  const basePort = whole("base-port", flags.basePort, [1, 65_535 - count]);
  const dir = resolve(flags.data);
  const tls = tlsFiles(flags);
  const scheme = tls === undefined ? "http" : "https";
  const stop = listenForStop();
  // Each node would say so itself, but in words about its file and not about these flags.
  for (let i = 1; i <= count; i++) await refuseTakenPort(basePort + i, "--base-port");
  const plan = writeClusterFile(dir, { count, baseUrl: `${scheme}://127.0.0.1`, basePort });
  const doors = doorUrls(flags, count, scheme);
  const cluster = new ChildNodes();
  try {
    await Promise.race([
      cluster.start(plan, dir, (i) => [
        ...(flags.corsOrigins === undefined ? [] : ["--cors-origins", flags.corsOrigins]),
        ...(flags.faults === true ? ["--faults"] : []),
        ...(tls === undefined ? [] : tlsArgs(tls)),
        ...(doors[i] === undefined ? [] : ["--cache-listen", doors[i]]),
        ...(flags.origin === undefined ? [] : ["--origin", flags.origin]),
      ]),
      stop.asked,
    ]);
    if (tls?.caFile !== undefined) trust(tls.caFile);
    const patience = { patienceMs: READY_MS_MAX, fetch: plainFetch };
    const late = await Promise.race([
      untilReady(plan.members, patience),
      cluster.allEnded.then((): readonly string[] => []),
      stop.asked.then((): readonly string[] => []),
    ]);
    for (const line of late) warn(`starling: ${line}`);
    if (!stop.isAsked()) sayAddresses(plan, doors, tls?.caFile);
    if ((await Promise.race([stop.asked, cluster.allEnded])) === "all ended") {
      throw new CliError(`no node is left: start it again, their data is in ${dir}`);
    }
  } finally {
    await cluster.stop();
  }
  process.exit(0);
}

function sayAddresses({ members }: Plan, doors: readonly string[], caFile?: string): void {
  for (const [i, { id, url }] of members.entries()) {
    say(`${id}  ${url}${doors[i] === undefined ? "" : `  cache door ${doors[i]}`}`);
  }
  sayHowToTry(members[0]?.url ?? "", caFile);
}

interface DevFlags {
  readonly port: string;
  readonly replicas: string;
  readonly data: string;
  readonly corsOrigins?: string;
  readonly faults?: boolean;
  readonly cachePort?: string;
  readonly origin?: string;
}

/** `--origin` alone asks for a cache door in front of it, too. */
const CACHE_PORT = "8788";

async function runDev(flags: DevFlags): Promise<void> {
  const { startDev } = await import("../local/dev.ts");
  const stop = listenForStop();
  const { origin, cachePort = origin === undefined ? undefined : CACHE_PORT } = flags;
  const starting = startDev({
    port: whole("port", flags.port, [0, 65_535]),
    ...(cachePort === undefined ? {} : { cachePort: whole("cache-port", cachePort, [0, 65_535]) }),
    origin,
    replicas: whole("replicas", flags.replicas, [1, 64]),
    dataDir: resolve(flags.data),
    corsOrigins: flags.corsOrigins,
    takesFaults: flags.faults === true,
    log: jsonLog(process.stderr),
  });
  const dev = await starting.catch((error: unknown) => {
    // Ctrl-C also stops what Miniflare has started, and a start without those fails.
    if (stop.isAsked()) process.exit(0);
    throw error;
  });
  if (!stop.isAsked()) {
    say(`Starling answers at ${dev.url}`);
    sayHowToTry(dev.url);
    if (dev.cacheUrl !== null) sayHowToTryTheCache(dev.cacheUrl, origin);
  }
  await stop.asked;
  await dev.close();
  process.exit(0);
}

function reportLines(report: CheckReport): readonly string[] {
  if (report.refusal !== undefined) return ["the replica would not start"];
  const segments = report.segments.map(
    ({ file, recordCount, byteCount, state }) =>
      `${file}: ${state}, ${recordCount} records, ${byteCount} bytes`,
  );
  return [
    ...segments,
    `${report.keyCount} keys; ${report.tornByteCount} bytes torn, ${report.corruptCount} corrupt`,
    ...report.lostKeys.map((key) => `lost: ${printable(key)}`),
    ...report.setAside.map((file) => `set aside: ${file}`),
    report.stopped ? "stopped cleanly" : "not stopped cleanly",
  ];
}

/**
 * A crash is no damage, and neither is a key that a repair set aside: the next start knows what to
 * do about both.
 */
const isSound = ({ refusal, segments, tornByteCount, corruptCount }: CheckReport): boolean =>
  refusal === undefined &&
  segments.every(({ state }) => state === "fine") &&
  tornByteCount + corruptCount === 0;

function withTlsFlags(command: Command): Command {
  return command
    .option("--tls-cert <file>", "the certificate to serve https with, PEM; read again on SIGHUP")
    .option("--tls-key <file>", "that certificate's key")
    .option(
      "--tls-ca <file>",
      "the authority that signs the members' certificates (default: those Node trusts)",
    );
}

interface CheckFlags {
  readonly repair?: boolean;
  readonly restored?: boolean;
  readonly json?: boolean;
}

export function addProcessCommands(program: Command): void {
  program
    .command("dev")
    .description("the whole system on Miniflare, one Durable Object a replica, on loopback")
    .option("--port <port>", "where it listens", "8787")
    .option("--replicas <count>", "how many Durable Objects", "5")
    .option("--cache-port <port>", `the cache door's, for sites (with --origin: ${CACHE_PORT})`)
    .option("--origin <url>", 'make the site "default", for all hosts, in front of this origin')
    .option("--data <dir>", "kept between runs", ".starling")
    .option("--cors-origins <origins>", "origins whose pages may use it, with commas, or *")
    .option("--faults", "for drills: let replicas be told to be down, silent, slow or lossy")
    .action(runDev);
  withTlsFlags(program.command("node"))
    .description("one replica with its frontend in this process")
    .requiredOption("--cluster <file>", "the cluster file, the same on every node")
    .requiredOption("--id <id>", "which of its members this is")
    .requiredOption("--data <dir>", "where its log lives")
    .option("--secret-file <file>", "the cluster's secret, or two, one a line; read on SIGHUP")
    .option("--data-secret-file <file>", "the secret the cluster began with, once it has another")
    .option("--tokens-file <file>", "the tokens that may call; read again on SIGHUP")
    .option("--listen <address>", "where it listens, if not at its url: an address, or * for all")
    .option("--cors-origins <origins>", "origins whose pages may use it, with commas, or *")
    .option("--cache-listen <url>", "also a cache door, the listener that sites are served on")
    .option("--origin <url>", 'make the site "default", for all hosts, in front of this origin')
    .option("--faults", "for drills: let admins tell it to be down, silent, slow or lossy")
    .action(runNode);
  withTlsFlags(program.command("cluster"))
    .description("several nodes on loopback, with a generated cluster file")
    .option("--nodes <count>", "how many", "5")
    .option("--base-port <port>", "the first node listens one above", "7100")
    .option("--data <dir>", "kept between runs", ".starling/cluster")
    .option("--cors-origins <origins>", "origins whose pages may use it, with commas, or *")
    .option("--cache-base-port <port>", "the first node's cache door listens one above")
    .option("--origin <url>", 'make the site "default", for all hosts, in front of this origin')
    .option("--faults", "for drills: let them be told to be down, silent, slow or lossy")
    .action(runCluster);
  program
    .command("check <dir>")
    .description("verify every record of a stopped replica's data folder")
    .option("--repair", "truncate a torn tail, set corrupt records aside")
    .option("--restored", "it is a copy from the past: its replica is to begin anew from it")
    .option("--json", "as JSON")
    .action(async (dir: string, flags: CheckFlags) => {
      const { checkFolder } = await import("../local/log/check.ts");
      const hasher = await xxhash();
      const { repair, restored } = flags;
      const report = await checkFolder(resolve(dir), {
        ...{ hasher, repair: repair === true, restored: restored === true },
      });
      if (flags.json === true) printJson(report);
      else for (const line of reportLines(report)) say(line);
      if (isSound(report) || report.repaired) return;
      const { refusal = 'damaged; "starling check --repair" leaves what can be read' } = report;
      failWith(`${dir}: ${refusal}`);
    });
}
