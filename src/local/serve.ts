/** `starling node`: one replica with its frontend in one process, its log in one folder. */

import type { Server } from "node:http";
import xxhash from "xxhash-wasm";
import { CodecError, readOr } from "../../core/check.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import { ownSpeech, type Speech } from "../../core/version.ts";
import type { ClusterConfig } from "../../ring/cluster-config.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { purgeSite } from "../door/site-purge.ts";
import { Driver } from "../driver/driver.ts";
import { backendOf } from "../driver/driver-backend.ts";
import { hostClock } from "../driver/host-clock.ts";
import { createApp, type Starling } from "../frontend/app.ts";
import { TURN_WAIT_SHARE } from "../frontend/backend/large-work.ts";
import type { Auth } from "../frontend/http/auth.ts";
import { parseCorsOrigins } from "../frontend/http/origins.ts";
import { logServed } from "../frontend/http/trace.ts";
import { Knowledge } from "../node/knowledge/knowledge.ts";
import { ForeignStore } from "../node/knowledge/store-owner.ts";
import { Node } from "../node/node.ts";
import { CacheDoor, type DoorOptions } from "./cache/start-door.ts";
import { readCluster } from "./cluster-file.ts";
import { httpLimits, makeHttpServer } from "./http/http-server.ts";
import { LargeTurns } from "./http/large-turns.ts";
import { listenAs, whereOf } from "./http/node-place.ts";
import type { TlsFiles } from "./identity/certificates.ts";
import { ClusterSecret } from "./identity/cluster-secret.ts";
import { type DataKeys, systemPrng } from "./identity/secrets.ts";
import { NodeTls } from "./identity/tls.ts";
import { readTokens, withoutTokens } from "./identity/tokens.ts";
import { type FileLog, openLog } from "./log/file-log.ts";
import { nodeMetrics } from "./metrics.ts";
import { askDataKeys } from "./peers/founding.ts";
import { Transport } from "./peers/transport.ts";
import { ConfigError } from "./process/config-error.ts";
import { CONNECTIONS_MIN, descriptorLimit, type Shares, shareOut } from "./process/descriptors.ts";
import type { Log } from "./process/logger.ts";

export interface NodeOptions {
  readonly clusterFile: string;
  readonly id: string;
  readonly dataDir: string;
  /** One secret a line: one, or two while one is replaced by the other. */
  readonly secretFile?: string | undefined;
  /** The secret that the cluster began with, once --secret-file holds others. */
  readonly dataSecretFile?: string | undefined;
  readonly tokensFile?: string | undefined;
  /** Serves https, and speaks with peers by mutual TLS; without it everything is plain. */
  readonly tls?: TlsFiles | undefined;
  /** Where it listens, where that is not its url: an address and perhaps a port, or `*`. */
  readonly listen?: string | undefined;
  /** Origins whose pages may read answers, with commas between them; `*` for any. */
  readonly corsOrigins?: string | undefined;
  /** With it the node has a cache door, a second listener. */
  readonly cache?: DoorOptions | undefined;
  /** For drills: admins may tell the replica to be down, silent, slow or lossy. */
  readonly takesFaults?: boolean;
  /** For tests: to speak as another version of this program does. */
  readonly speech?: Speech | undefined;
  readonly log: Log;
}

export interface RunningNode {
  readonly url: string;
  /** Its frontend, to be mounted in a hono app of one's own: it needs no second listener. */
  readonly app: Starling["app"];
  /** Of the cache door; null: there is none. */
  readonly cacheUrl: string | null;
  /**
   * Reads tokens, secrets and certificates again; those that cannot be read are logged, and stay.
   */
  reload(): Promise<void>;
  /** Resolves with the reason, in one line, when the node has to end though nobody stopped it. */
  readonly ended: Promise<string>;
  /** Stops accepting, finishes what is in flight, flushes. */
  close(): Promise<void>;
}

/** How long requests in flight may take to finish when the node stops, in ms. */
const DRAIN_MS_MAX = 7000;
/** The same for work that goes on after the answers: copies to the slower replicas, hints. */
const SETTLE_MS_MAX = 1000;

const corsOriginsOf = ({ corsOrigins = "" }: NodeOptions): readonly string[] =>
  readOr(
    () => parseCorsOrigins(corsOrigins),
    (problem) => new ConfigError(`--cors-origins: ${problem}`),
  );

interface Machine {
  readonly ended: Promise<string>;
  readonly driver: Driver;
  readonly transport: Transport;
  readonly knowledge: Knowledge;
}

/** When this process began, in ms since 1970. */
const startedAt = (): number => Math.round(Date.now() - process.uptime() * 1000);

interface MachineParts {
  readonly options: NodeOptions;
  readonly config: ClusterConfig;
  readonly secret: ClusterSecret;
  readonly fileLog: FileLog;
  readonly tls: NodeTls | undefined;
}

type Hasher = Awaited<ReturnType<typeof xxhash>>;

/** What the node knows before it has heard of anybody. */
function knowledgeOf({ options, config }: MachineParts, keys: DataKeys, hasher: Hasher): Knowledge {
  const { id, speech = ownSpeech } = options;
  const zoneInFile = config.members.find((member) => member.id === id)?.zone ?? "";
  const ring = bootstrapRing(config, keys.ringSeed);
  return new Knowledge({
    document: { ring, namespaces: new Map(), dataKey: keys.hashKey },
    hash: keys.hash,
    keyHasher: hasher,
    defaults: defaultSettings(config.n),
    timeoutMs: config.timing.requestTimeoutMs,
    zoneIn: (current) => current.member(id)?.zone ?? zoneInFile,
    about: { version: speech.version, startedAt: startedAt() },
  });
}

function makeMachine(of: MachineParts, keys: DataKeys, hasher: Hasher): Machine {
  const { options, config, secret, fileLog, tls } = of;
  const { timing } = config;
  const { id, speech = ownSpeech } = options;
  const knowledge = knowledgeOf(of, keys, hasher);
  const takesFaults = options.takesFaults === true;
  const { store, place } = fileLog;
  const replica = { id, store, place, takesFaults, ...timing };
  const node = new Node({ knowledge, prng: systemPrng(), replica });
  const ended = Promise.withResolvers<string>();
  const driver: Driver = new Driver(node, {
    now: hostClock(
      () => performance.now(),
      () => Date.now(),
    ),
    send: (to, message) => transport.send(to, message),
    flush: () => fileLog.flush(),
    duplicate: (duplicate, isToEnd) => {
      options.log("duplicate-replica", { ...duplicate });
      if (isToEnd) ended.resolve(twiceAlive(options));
    },
  });
  const transport: Transport = new Transport({
    self: id,
    cluster: config.name,
    keys: secret.transportKeys,
    tls,
    // A peer that lives is heard several times within this: it answers every heartbeat.
    limits: { silenceMsMax: 2 * timing.suspectAfterMs },
    speech,
    onRefusedVersion: (peer, speech) => {
      if (speech === null) knowledge.refusedVersions.delete(peer);
      else knowledge.refusedVersions.set(peer, speech);
    },
    urlOf: (peer) => knowledge.ring.member(peer)?.url,
    onMessages: (from, messages) => {
      for (const message of messages) {
        if (message.type !== "request" || message.trace === "") continue;
        // An address is a member and the number of its connection.
        const [peer = from] = from.split("#");
        logServed(options.log, message.trace, { kind: message.body.kind, from: peer });
      }
      driver.receiveAll(from, messages);
    },
    onUnreachable: (to, call, isUnsent) => driver.unreachable(to, call, isUnsent),
    log: options.log,
  });
  return { driver, transport, knowledge, ended: ended.promise };
}

/** @throws ConfigError when nobody can tell the data keys, or the folder has different ones */
async function dataKeysOf(of: MachineParts): Promise<DataKeys> {
  const { options, config, secret, fileLog, tls } = of;
  const { store } = fileLog;
  if (!secret.isToBeTold(store)) return secret.dataKeys(store, null);
  const { name: cluster, members } = config;
  const keys = secret.transportKeys();
  return secret.dataKeys(
    store,
    await askDataKeys({ cluster, self: options.id, members, keys, tls }),
  );
}

/** @throws ConfigError when the folder is another replica's, or of another secret or partitions */
async function ownMachine(
  parts: MachineParts,
  hasher: Awaited<ReturnType<typeof xxhash>>,
): Promise<Machine> {
  try {
    return makeMachine(parts, await dataKeysOf(parts), hasher);
  } catch (error) {
    await parts.fileLog.close();
    if (error instanceof ConfigError) throw error;
    if (error instanceof ForeignStore) throw new ConfigError(foreignFolder(parts.options, error));
    if (!(error instanceof CodecError)) throw error;
    const mend = "start with the name, secret and partitions it began with, or another --data";
    throw new ConfigError(`${parts.options.dataDir}: ${error.message}: ${mend}`);
  }
}

const twiceAlive = ({ id, dataDir }: NodeOptions): string =>
  `another process runs as member ${id}, and began before this one: ` +
  `stop that one first, or give this one an --id and an empty --data of its own, not ${dataDir}`;

function foreignFolder({ dataDir, id }: NodeOptions, { found, message }: ForeignStore): string {
  const mend =
    found.replica === id
      ? `start with the cluster file of ${found.cluster}, or another --data`
      : `start with --id ${found.replica}, or give ${id} a --data of its own: ` +
        "an empty one is filled by the other members";
  return `${dataDir}: ${message}: ${mend}`;
}

/**
 * How many of the process's descriptors are for the log, and how many for connections.
 *
 * @throws ConfigError when that is too little to work with
 */
function descriptorShares({ members }: ClusterConfig): Shares {
  const limit = descriptorLimit();
  const wanted = { peers: members.length, connections: httpLimits.connectionCountMax };
  const shares = shareOut(limit, wanted);
  if (shares.connections >= CONNECTIONS_MIN) return shares;
  throw new ConfigError(
    `this process may open ${limit} files, which is too few for the log and ${CONNECTIONS_MIN} ` +
      "connections: raise the limit (ulimit -n, LimitNOFILE=) to 1024 or more",
  );
}

/**
 * A file that is wrong now was right before: its old content stays in use, and the log says why.
 */
async function reload(log: Log, what: string, read: () => Promise<object>): Promise<void> {
  try {
    log(`${what}-reloaded`, { ...(await read()) });
  } catch (error) {
    log(`${what}-unreadable`, { reason: error instanceof Error ? error.message : "unknown" });
  }
}

async function renew(tls: NodeTls, server: Server, door: CacheDoor): Promise<object> {
  await tls.reload(server);
  door.renewTls(tls);
  return { endsAt: tls.endsAt };
}

/** Whatever can be replaced while the node runs: tokens, the secret, certificates. */
async function reloadAll(of: {
  readonly options: NodeOptions;
  readonly tokens: { auth: Auth };
  readonly keepKeys: () => void;
  readonly secret: ClusterSecret;
  readonly tls: NodeTls | undefined;
  readonly server: Server;
  readonly door: CacheDoor;
}): Promise<void> {
  const { options, tokens, secret, tls } = of;
  await reload(options.log, "tokens", async () => {
    tokens.auth = await readTokens(options.tokensFile);
    return { count: tokens.auth.tokens.length };
  });
  of.keepKeys();
  if (secret.isFromFile) await reload(options.log, "secret", () => secret.reload());
  if (tls === undefined) return;
  await reload(options.log, "certificates", () => renew(tls, of.server, of.door));
}

/** Resolves with the promise, or when the time is up. */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, ms);
  await Promise.race([promise, timeout.promise]);
  clearTimeout(timer);
}

/** Work that goes on after the last answer comes to its end, or is cut short. */
async function settleAndEnd(of: {
  readonly driver: Driver;
  readonly transport: Transport;
  readonly server: Server;
  readonly fileLog: FileLog;
}): Promise<void> {
  await within(SETTLE_MS_MAX, of.driver.whenIdle());
  of.driver.close();
  of.transport.close();
  of.server.closeAllConnections();
  await of.fileLog.close();
}

/**
 * Starts a node; resolves when it listens.
 *
 * @throws ConfigError with one line that names the file, the member and the mend
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { log } = options;
  const hasher = await xxhash();
  const config = await readCluster(options, hasher);
  const { url, place, openOnLoopback } = whereOf(options, config);
  const secret = await ClusterSecret.read(options, config);
  const tokens = { auth: await readTokens(options.tokensFile) };
  const corsOrigins = corsOriginsOf(options);
  if (options.tokensFile === undefined) log("no-tokens", { reason: withoutTokens(openOnLoopback) });
  const tls = options.tls === undefined ? undefined : await NodeTls.read(options.tls, url.href);
  const { logFiles: openFilesMax, connections } = descriptorShares(config);
  const onFailure = ({ message }: Error): void => log("disk-failure", { reason: message });
  const fileLog = await openLog({ dir: options.dataDir, hasher, openFilesMax, onFailure });
  const parts = { options, config, secret, fileLog, tls };
  const { driver, transport, ended, knowledge } = await ownMachine(parts, hasher);
  const door = new CacheDoor(options.cache);
  const backend = backendOf(driver, {
    metrics: () => nodeMetrics({ node: driver.node, fileLog, transport }) + door.metrics(),
    refreshes: () => door.refreshes,
    turns: new LargeTurns({ waitMsMax: config.timing.requestTimeoutMs * TURN_WAIT_SHARE }),
  });
  const asked = { backend, secret: knowledge.hash, auth: () => tokens.auth, log, purgeSite };
  const { app, answerKey } = createApp({ ...asked, config: { openOnLoopback, corsOrigins } });
  const { server, stop } = makeHttpServer({
    handler: (request, env) => app.fetch(request, env),
    answerKey,
    internal: transport,
    tls,
    limits: { connectionCountMax: connections },
  });
  const doorStart = { ...asked, tls, isOpen: openOnLoopback, apiPort: place.port };
  const listening = listenAs(server, place, options).then(() => door.start(doorStart));
  await listening.catch(async (error: unknown) => {
    server.close();
    driver.close();
    await fileLog.close();
    throw error;
  });
  server.on("error", ({ message }) => log("listener-error", { reason: message }));
  driver.wake();
  const keepKeys = (): void => secret.keep(fileLog.store, knowledge.ring.document);
  keepKeys();
  log("listening", { url: url.origin, id: options.id });
  if (tls !== undefined) log("certificates-read", { endsAt: tls.endsAt });
  return {
    url: url.origin,
    app,
    ended,
    cacheUrl: door.url,
    reload: () => reloadAll({ options, tokens, keepKeys, secret, tls, server, door }),
    close: async () => {
      driver.beginToEnd();
      await Promise.all([stop(DRAIN_MS_MAX), door.close(DRAIN_MS_MAX)]);
      keepKeys();
      await settleAndEnd({ driver, transport, server, fileLog });
      log("stopped");
    },
  };
}
