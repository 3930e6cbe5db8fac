/**
 * Which path leads where. A route says what a request must be allowed to do before anything of it
 * is carried out, and then how it is answered.
 */
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { type Access, type Grant, OWN_NAMESPACES } from "./auth.ts";
import type { Backend } from "./backend.ts";
import { answerBatch } from "./batch.ts";
import { ClusterPlane } from "./cluster-plane.ts";
import { checkRanges, DATA_METHODS, DataPlane, settingsOf } from "./data-plane.ts";
import type { Answer, PlainRequest } from "./exchange.ts";
import { FaultPlane } from "./faults.ts";
import { readKey, readNamespace, type Target } from "./key-path.ts";
import { findKvApiRoute, isKvApi } from "./kv-routes.ts";
import { answerList } from "./listing.ts";
import { MembersPlane } from "./members-plane.ts";
import type { HttpMetrics } from "./metrics.ts";
import { readOptions } from "./options.ts";
import { Problem } from "./problems.ts";
import { answerPurge } from "./purge.ts";
import { checkReadiness } from "./readiness.ts";
import type { Found, Route } from "./route.ts";
import { assetResponse, uiAssets } from "./ui/assets.ts";
import { WORKERD_KV, workerdKvRoute } from "./workerd-kv.ts";

/** The route that most requests take: it needs no more of them than a light host has. */
export interface KeyRoute extends Route {
  plan(call: { readonly request: PlainRequest; readonly target: Target; readonly rest: string }): {
    readonly access: Access;
    answer(grant: Grant): Promise<Answer>;
  };
}

interface OtherRoutes {
  /** By the whole path. */
  readonly exact: ReadonlyMap<string, Route>;
  /** By what the path begins with; the rest is the route's own. */
  readonly prefixed: readonly (readonly [prefix: string, route: Route])[];
}

export interface Routes {
  /** Made when the first one is asked for: a Worker makes routes anew for every request. */
  others(): OtherRoutes;
  readonly kv: { readonly oneKey: KeyRoute; readonly list: Route; readonly batch: Route };
  /** The paths of Cloudflare's REST API. */
  kvApi(path: string): Found;
}

export interface RouteParts {
  readonly backend: Backend;
  readonly secret: KeyedHash;
  readonly metrics: HttpMetrics;
}

const KV = "/v1/kv/";
const BATCH = ":batch";
const GET = ["GET", "HEAD"] as const;
const POST = ["POST"] as const;
const isRead = (method: string): boolean => method === "GET" || method === "HEAD";

/** Whether a raw target leads to the route of one key, whatever else is wrong with it. */
export function isKeyTarget(rawTarget: string): boolean {
  if (!rawTarget.startsWith(KV) || rawTarget.includes("#")) return false;
  const slash = rawTarget.indexOf("/", KV.length);
  const mark = rawTarget.indexOf("?");
  return slash > 0 && (mark < 0 || slash < mark);
}

/** @throws Problem `no-such-route` */
export function findRoute(routes: Routes, path: string): Found {
  if (path.startsWith(KV)) {
    const rest = path.slice(KV.length);
    // The path of a key goes on behind its namespace; "/v1/kv/" alone lacks both.
    if (rest === "" || rest.includes("/")) return { route: routes.kv.oneKey, rest };
    if (!rest.endsWith(BATCH)) return { route: routes.kv.list, rest };
    return { route: routes.kv.batch, rest: rest.slice(0, -BATCH.length) };
  }
  if (isKvApi(path)) return routes.kvApi(path);
  const others = routes.others();
  const route = others.exact.get(path);
  if (route !== undefined) return { route, rest: "" };
  for (const [prefix, prefixed] of others.prefixed) {
    if (path.startsWith(prefix)) return { route: prefixed, rest: path.slice(prefix.length) };
  }
  throw new Problem("no-such-route", "There is no such route. See docs/ for those that exist.");
}

/** `{namespace}/{key}`, the key not read yet: who may not have it is not told what is wrong. */
function splitKeyPath(rest: string): { namespace: string; key: () => string } {
  const slash = rest.indexOf("/");
  const namespace = readNamespace(slash < 0 ? rest : rest.slice(0, slash));
  return { namespace, key: () => readKey(slash < 0 ? "" : rest.slice(slash + 1)) };
}

function kvRoutes({ backend, secret }: RouteParts): Routes["kv"] {
  const data = new DataPlane(backend, secret);
  const oneKey: KeyRoute = {
    pattern: "/v1/kv/{namespace}/{key}",
    methods: DATA_METHODS,
    plan: ({ request, target, rest }) => {
      const { namespace, key } = splitKeyPath(rest);
      return {
        access: { role: isRead(request.method) ? "read" : "write", namespace },
        answer: () => data.handle({ request, namespace, key: key(), query: target.query }),
      };
    },
  };
  const list: Route = {
    pattern: "/v1/kv/{namespace}",
    methods: GET,
    plan: ({ request, target, rest }) => {
      const namespace = readNamespace(rest);
      const call = { request, namespace, query: target.query };
      return {
        access: { role: "read", namespace },
        answer: () => answerList(backend, secret, call),
      };
    },
  };
  const batch: Route = {
    pattern: "/v1/kv/{namespace}:batch",
    methods: POST,
    // Whether it writes shows in its body; the right to write is asked for there.
    plan: ({ request, target, rest }) => {
      const namespace = readNamespace(rest);
      return {
        access: { role: "read", namespace },
        answer: (grant) => {
          const view = backend.view();
          const settings = settingsOf(view, namespace);
          const options = readOptions(target.query, request.headers.get("Starling-Quorum"));
          checkRanges(view, settings, options);
          const parts = { backend, hash: secret, namespace, settings, options, grant };
          return answerBatch(request, parts);
        },
      };
    },
  };
  return { oneKey, list, batch };
}

type Responder = (request: Request) => Response | Promise<Response>;

/** A route of the cluster as a whole, for admins of all of it. */
const clusterRoute = (pattern: string, methods: readonly string[], answer: Responder): Route => ({
  pattern,
  methods,
  plan: ({ request }) => ({
    access: { role: "admin", namespace: null },
    answer: () => answer(request),
  }),
});

const openRoute = (pattern: string, answer: Responder): Route => ({
  pattern,
  methods: GET,
  plan: ({ request }) => ({ access: null, answer: () => answer(request) }),
});

function namespaceRoutes(cluster: ClusterPlane): { list: Route; one: Route; explain: Route } {
  return {
    list: {
      pattern: "/v1/namespaces",
      methods: GET,
      plan: () => ({
        access: { role: "read", namespace: OWN_NAMESPACES },
        answer: ({ namespaces }) => cluster.namespaces(namespaces),
      }),
    },
    one: {
      pattern: "/v1/namespaces/{namespace}",
      methods: [...GET, "PUT"],
      plan: ({ request, rest }) => {
        const namespace = readNamespace(rest);
        const isReading = isRead(request.method);
        return {
          access: { role: isReading ? "read" : "admin", namespace },
          answer: () =>
            isReading ? cluster.namespace(namespace) : cluster.configure(namespace, request),
        };
      },
    },
    explain: {
      pattern: "/v1/cluster/explain/{namespace}/{key}",
      methods: GET,
      plan: ({ rest }) => {
        const { namespace, key } = splitKeyPath(rest);
        return {
          access: { role: "admin", namespace },
          answer: () => cluster.explain(namespace, key()),
        };
      },
    },
  };
}

function faultRoutes(plane: FaultPlane): { list: Route; one: Route } {
  const one: Route = {
    pattern: "/v1/cluster/faults/{replica}",
    methods: ["PUT", "DELETE"],
    plan: ({ request, rest }) => ({
      access: { role: "admin", namespace: null },
      answer: () => (request.method === "PUT" ? plane.set(rest, request) : plane.clear(rest)),
    }),
  };
  return { list: clusterRoute("/v1/cluster/faults", GET, () => plane.list()), one };
}

function purgeRoute(backend: Backend): Route {
  return {
    pattern: "/v1/purge",
    methods: POST,
    // Which namespace it is about shows in its body; the right to write to it is asked for there.
    plan: ({ request }) => ({
      access: { role: "write", namespace: OWN_NAMESPACES },
      answer: (grant) => answerPurge(backend, request, grant),
    }),
  };
}

/** All routes of this version. */
export function makeRoutes(parts: RouteParts): Routes {
  let others: OtherRoutes | null = null;
  return {
    others: () => {
      others ??= otherRoutes(parts);
      return others;
    },
    kv: kvRoutes(parts),
    kvApi: (path) => findKvApiRoute(parts, path),
  };
}

function otherRoutes(parts: RouteParts): OtherRoutes {
  const { backend, secret, metrics } = parts;
  const cluster = new ClusterPlane(backend, secret);
  const members = new MembersPlane(backend);
  const { list, one, explain } = namespaceRoutes(cluster);
  const faults = faultRoutes(new FaultPlane(backend));
  const exact = [
    list,
    faults.list,
    purgeRoute(backend),
    clusterRoute("/v1/cluster", GET, () => cluster.cluster()),
    clusterRoute("/v1/cluster/ring", GET, () => cluster.ring()),
    clusterRoute("/v1/cluster/plan", POST, (request) => members.plan(request)),
    clusterRoute("/v1/cluster/commit", POST, (request) => members.commit(request)),
    clusterRoute("/v1/cluster/transfers", GET, () => members.transfers()),
    clusterRoute("/v1/cluster/anti-entropy", POST, (request) => cluster.antiEntropy(request)),
    clusterRoute("/v1/cluster/handoff", POST, () => cluster.handoff()),
    clusterRoute("/metrics", GET, () => answerMetrics(metrics.text() + backend.metrics())),
    ...[...uiAssets].map(([path, asset]) => openRoute(path, () => assetResponse(asset))),
    openRoute("/", () => answerText(SIGNPOST)),
    openRoute("/healthz", () => answerText("ok\n")),
    openRoute("/readyz", () => checkReadiness(backend).then(() => answerText("ready\n"))),
  ];
  return {
    exact: new Map(exact.map((route) => [route.pattern, route])),
    prefixed: [
      ["/v1/namespaces/", one],
      ["/v1/cluster/explain/", explain],
      ["/v1/cluster/faults/", faults.one],
      [WORKERD_KV, workerdKvRoute(parts)],
    ],
  };
}

/** For whoever comes to the front door: it says where to go, and nothing of the deployment. */
const SIGNPOST = `Starling, an edge cache.
Keys are at /v1/kv/{namespace}/{key}, the page for operators is at /ui.
`;

const answerText = (text: string): Response =>
  new Response(text, { headers: textHeaders("text/plain; charset=utf-8") });
const answerMetrics = (text: string): Response =>
  new Response(text, { headers: textHeaders("text/plain; version=0.0.4; charset=utf-8") });
const textHeaders = (type: string): Record<string, string> => ({
  "Content-Type": type,
  "X-Content-Type-Options": "nosniff",
});
