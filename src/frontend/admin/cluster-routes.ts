/** The cluster plane, namespaces, and what a host's own tools ask for. */
import { Hono } from "hono";
import { accepts } from "hono/accepts";
import type { HttpMetrics } from "../../metrics/http-metrics.ts";
import {
  type Call,
  isRead,
  pathIn,
  queryOf,
  type RouteParts,
  rawRest,
  type StarlingEnv,
} from "../backend/call.ts";
import { splitKeyPath } from "../data/data-routes.ts";
import { OWN_NAMESPACES } from "../http/auth.ts";
import { readNamespace } from "../http/key-path.ts";
import { ClusterPlane } from "./cluster-plane.ts";
import { answerEntries, takeEntries } from "./entries-plane.ts";
import { FaultPlane } from "./faults.ts";
import { MembersPlane } from "./members-plane.ts";
import { checkReadiness } from "./readiness.ts";
import { scrubNow } from "./scrub-plane.ts";
import { stalenessMetrics } from "./staleness-metrics.ts";
import { answerStaleness } from "./staleness-plane.ts";

const NAMESPACES = "/v1/namespaces/";
const EXPLAIN = "/v1/cluster/explain/";
const FAULTS = "/v1/cluster/faults/";
const ENTRIES = "/v1/cluster/entries";

const admin = () => ({ role: "admin", namespace: null }) as const;
const monitor = () => ({ role: "monitor", namespace: null }) as const;
const everybody = () => null;

export interface ClusterRouteParts extends RouteParts {
  readonly metrics: HttpMetrics;
}

/** Upkeep of what is stored, which operators ask for. */
function upkeepRoutes({ secret, backendOf, guarded }: RouteParts): Hono<StarlingEnv> {
  const cluster = (call: Call): ClusterPlane => new ClusterPlane(backendOf(call), secret);
  const app = new Hono<StarlingEnv>();
  app.post(
    "/v1/cluster/anti-entropy",
    guarded(admin, (call) => cluster(call).antiEntropy(call.req.raw)),
  );
  app.post(
    "/v1/cluster/handoff",
    guarded(admin, (call) => cluster(call).handoff(call.req.raw)),
  );
  app.post(
    "/v1/cluster/accept-loss",
    guarded(admin, (call) => cluster(call).acceptLoss(call.req.raw)),
  );
  app.post(
    "/v1/cluster/scrub",
    guarded(admin, (call) => scrubNow(backendOf(call), call.req.raw)),
  );
  app.get(
    "/v1/cluster/purges",
    guarded(admin, (call) => cluster(call).purges()),
  );
  app.get(
    ENTRIES,
    guarded(admin, (call) => {
      const reader = { backend: backendOf(call), holder: call.req.raw, trace: "" };
      return answerEntries(reader, secret, queryOf(call));
    }),
  );
  app.post(
    ENTRIES,
    guarded(admin, (call) => takeEntries(backendOf(call), call.req.raw)),
  );
  return app;
}

export function clusterRoutes(parts: RouteParts): Hono<StarlingEnv> {
  const { secret, backendOf, guarded } = parts;
  const cluster = (call: Call): ClusterPlane => new ClusterPlane(backendOf(call), secret);
  const members = (call: Call): MembersPlane => new MembersPlane(backendOf(call));
  const faults = (call: Call): FaultPlane => new FaultPlane(backendOf(call));
  const explained = (call: Call) => splitKeyPath(rawRest(call, EXPLAIN));
  const app = new Hono<StarlingEnv>();
  app.get(
    "/v1/cluster",
    guarded(monitor, (call) => cluster(call).cluster()),
  );
  app.get(
    "/v1/cluster/ring",
    guarded(monitor, (call) => cluster(call).ring()),
  );
  app.post(
    "/v1/cluster/plan",
    guarded(admin, (call) => members(call).plan(call.req.raw)),
  );
  app.post(
    "/v1/cluster/commit",
    guarded(admin, (call) => members(call).commit(call.req.raw)),
  );
  app.get(
    "/v1/cluster/staleness",
    guarded(admin, (call) => answerStaleness(backendOf(call), queryOf(call))),
  );
  app.get(
    "/v1/cluster/transfers",
    guarded(monitor, (call) => members(call).transfers()),
  );
  app.route("/", upkeepRoutes(parts));
  app.get(
    `${EXPLAIN}:namespace/:key{.*}`,
    guarded(
      (call) => ({ role: "admin", namespace: explained(call).namespace }),
      (call) => {
        const { namespace, key } = explained(call);
        return cluster(call).explain(namespace, key());
      },
    ),
  );
  app.get(
    "/v1/cluster/faults",
    guarded(admin, (call) => faults(call).list()),
  );
  const replica = (call: Call): string => rawRest(call, FAULTS);
  app.put(
    `${FAULTS}:replica`,
    guarded(admin, (call) => faults(call).set(replica(call), call.req.raw)),
  );
  app.delete(
    `${FAULTS}:replica`,
    guarded(admin, (call) => faults(call).clear(replica(call))),
  );
  return app;
}

export function namespaceRoutes({ secret, backendOf, guarded }: RouteParts): Hono<StarlingEnv> {
  const cluster = (call: Call): ClusterPlane => new ClusterPlane(backendOf(call), secret);
  const namespaceOf = (call: Call): string => readNamespace(rawRest(call, NAMESPACES));
  const app = new Hono<StarlingEnv>();
  app.get(
    "/v1/namespaces",
    guarded(
      () => ({ role: "read", namespace: OWN_NAMESPACES, showsNoData: true }),
      (call) => cluster(call).namespaces(call.get("grant").namespaces),
    ),
  );
  app.on(
    ["GET", "PUT"],
    `${NAMESPACES}:namespace`,
    guarded(
      (call) => {
        const showsNoData = isRead(call.req.method);
        const role = showsNoData ? "read" : "admin";
        return { role, namespace: namespaceOf(call), showsNoData };
      },
      (call) => {
        if (isRead(call.req.method)) return cluster(call).namespace(namespaceOf(call));
        return cluster(call).configure(namespaceOf(call), call.req.raw);
      },
    ),
  );
  return app;
}

/** For programs that come to the root: where to go, without a word about the deployment. */
const SIGNPOST = `Starling, an edge cache.
Keys are at /v1/kv/{namespace}/{key}, the page for operators is at /ui.
`;

/** A browser names HTML and is led to the page; curl and programs take anything. */
const FRONT_DOOR: Parameters<typeof accepts>[1] = {
  header: "Accept",
  supports: ["text/plain", "text/html"],
  default: "text/plain",
};

/**
 * Where the page is, as seen from the root. Relative where that is `/`, because hono's `mount` cuts
 * off the path before it.
 */
const pageFrom = (call: Call): string => (call.req.path === "/" ? "ui" : pathIn(call, "/ui"));

/** Metrics for scrapers, probes for orchestrators, and a signpost at the root. */
export function hostRoutes({ backendOf, guarded, metrics }: ClusterRouteParts): Hono<StarlingEnv> {
  const app = new Hono<StarlingEnv>();
  app.get(
    "/metrics",
    guarded(monitor, async (call) => {
      const headers = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" };
      const backend = backendOf(call);
      const staleness = await stalenessMetrics(backend);
      return call.body(metrics.text() + backend.metrics() + staleness, 200, headers);
    }),
  );
  app.get(
    "/",
    guarded(everybody, (call) => {
      const isBrowser = accepts(call, FRONT_DOOR) === "text/html";
      const answer = isBrowser ? call.redirect(pageFrom(call)) : call.text(SIGNPOST);
      answer.headers.set("Vary", "Accept");
      return answer;
    }),
  );
  app.get(
    "/healthz",
    guarded(everybody, (call) => call.text("ok\n")),
  );
  app.get(
    "/readyz",
    guarded(everybody, async (call) => {
      await checkReadiness(backendOf(call), new URL(call.req.url));
      return call.text("ready\n");
    }),
  );
  return app;
}
