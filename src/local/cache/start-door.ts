/** The cache door of a node: its listener, its origins, the site that `--origin` names. */
import { hash, randomUUID } from "node:crypto";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { DEFAULT_SITE } from "../../../core/site.ts";
import { Door } from "../../door/door.ts";
import { DoorMetrics } from "../../door/door-metrics.ts";
import type { Digest } from "../../door/kept.ts";
import { purgeRight } from "../../door/purge-right.ts";
import { siteSettings } from "../../frontend/admin/sites-plane.ts";
import type { Backend, Refresh } from "../../frontend/backend/backend.ts";
import type { Auth } from "../../frontend/http/auth.ts";
import { Problem } from "../../frontend/http/problems.ts";
import { type HttpServer, httpLimits, makeHttpServer } from "../http/http-server.ts";
import { listenAddress, listenAt, portOf, reasonOf } from "../http/listening.ts";
import type { NodeTls } from "../identity/tls.ts";
import { boundedLog } from "../process/bounded-log.ts";
import { ConfigError } from "../process/config-error.ts";
import type { Log } from "../process/logger.ts";
import { makeDefaultSite } from "./default-site.ts";
import { doorListener } from "./door-server.ts";
import { NodeOrigin } from "./origin.ts";
import type { Listener } from "./own-addresses.ts";
import { readyToLook, youngGarbage } from "./young-garbage.ts";

export interface DoorOptions {
  readonly url: URL;
  /** Makes the site `default` for all hosts. */
  readonly origin?: string | undefined;
}

export interface DoorStart {
  readonly backend: Backend;
  readonly secret: KeyedHash;
  readonly auth: () => Auth;
  /** Whether everybody may do everything without tokens. */
  readonly isOpen: boolean;
  /** Of this process's other listener. */
  readonly apiPort: number;
  readonly tls: NodeTls | undefined;
  readonly log: Log;
}

const listenerOf = (text: string): Listener => {
  const url = new URL(text);
  return { host: url.hostname, port: portOf(url) };
};

/** @throws ConfigError for what no site's origin can be */
function checkOrigin(origin: string, backend: Backend): void {
  try {
    siteSettings({ origin }, backend.view());
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new ConfigError(`--origin ${origin}: ${error.message}`);
  }
}

/** @throws ConfigError */
async function listen(server: HttpServer["server"], url: URL): Promise<void> {
  await listenAt(server, listenAddress(url)).catch((error: NodeJS.ErrnoException) => {
    const reason = reasonOf(error);
    throw new ConfigError(`--cache-listen ${url.origin}: ${reason}; choose another url`);
  });
}

/** The door of a node, if it has one. */
export class CacheDoor {
  readonly #options: DoorOptions | undefined;
  readonly #metrics = new DoorMetrics();
  #http: HttpServer | null = null;
  #origin: NodeOrigin | null = null;
  #url: string | null = null;
  #port = 0;
  #isClosed = false;

  constructor(options: DoorOptions | undefined) {
    this.#options = options;
  }

  /** Where it listens; null: nowhere. */
  get url(): string | null {
    return this.#url;
  }

  metrics(): string {
    return this.#options === undefined ? "" : this.#metrics.text();
  }

  get refreshes(): readonly Refresh[] {
    return this.#metrics.underWay;
  }

  /** Resolves when it listens. @throws ConfigError with one line */
  async start(start: DoorStart): Promise<void> {
    if (this.#options === undefined) return;
    const { url, origin } = this.#options;
    const { backend, tls, log } = start;
    if (origin !== undefined) checkOrigin(origin, backend);
    const door = this.#makeDoor(start);
    readyToLook();
    this.#http = makeHttpServer({
      handler: () => new Response(null, { status: 404 }),
      raw: doorListener(door, this.#metrics, {
        scheme: tls === undefined ? "http" : "https",
        bodyIdleMsMax: httpLimits.requestMsMax,
      }),
      internal: { recognises: () => false, accept: () => false },
      tls,
    });
    const { server } = this.#http;
    await listen(server, url);
    server.on("error", ({ message }) => log("listener-error", { reason: message }));
    const address = server.address();
    this.#port = typeof address === "object" && address !== null ? address.port : portOf(url);
    const bound = new URL(url);
    // Of port 0 the system makes a free one.
    if (url.port === "0") bound.port = String(this.#port);
    this.#url = bound.origin;
    log("cache-door-listening", { url: this.#url });
    if (origin === undefined) return;
    const made = makeDefaultSite(start.backend, origin, () => this.#isClosed);
    void made
      .then((isNew) => void (isNew && log("site-made", { site: DEFAULT_SITE, origin })))
      .catch(failureLog(log));
  }

  /** Takes renewed certificates over. */
  renewTls(tls: NodeTls): void {
    if (this.#http !== null) tls.renew(this.#http.server);
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    await this.#http?.stop(drainMs);
    this.#origin?.close();
    this.#http?.server.closeAllConnections();
  }

  #makeDoor(start: DoorStart): Door {
    const { backend, secret, apiPort, log } = start;
    this.#origin = new NodeOrigin({
      ownPorts: () => [apiPort, this.#port],
      members: () => backend.view().ring.document.members.map(({ url }) => listenerOf(url)),
    });
    const failed = failureLog(boundedLog(log));
    return new Door({
      ...{ backend, secret, origin: this.#origin, metrics: this.#metrics },
      purgeRefusal: purgeRight(start.auth, start.isOpen),
      host: {
        now: () => backend.now(),
        digest: nodeDigest,
        uniqueName: randomUUID,
        wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
        background: (work) => void work.catch(failed),
        garbage: youngGarbage,
      },
    });
  }
}

export const nodeDigest: Digest = (text) => hash("sha256", text);

const failureLog =
  (log: Log) =>
  (error: unknown): void => {
    log("cache-door-error", { reason: error instanceof Error ? error.message : "unknown" });
  };
