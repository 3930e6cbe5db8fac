/** The data plane: one key, the list of a namespace, a batch, and purges. */
import { Hono } from "hono";
import {
  type Call,
  isRead,
  queryOf,
  type RouteParts,
  rawRest,
  type StarlingEnv,
} from "../backend/call.ts";
import { rulesOf } from "../backend/rules.ts";
import { type Access, OWN_NAMESPACES } from "../http/auth.ts";
import { plainRequestOf } from "../http/exchange.ts";
import { readKey, readNamespace } from "../http/key-path.ts";
import { readOptions } from "../http/options.ts";
import { Problem } from "../http/problems.ts";
import { answerBatch } from "./batch.ts";
import { DataPlane, settingsOf } from "./data-plane.ts";
import { answerList } from "./listing.ts";
import { answerPurge } from "./purge.ts";
import type { PurgeSite } from "./run-purge.ts";

export const KV = "/v1/kv/";
const BATCH = ":batch";

export interface KeyPath {
  readonly namespace: string;
  /** Read late: a caller without rights is not told what is wrong with a key. @throws Problem */
  readonly key: () => string;
}

/** @param rest raw `{namespace}/{key}` @throws Problem `invalid-key` */
export function splitKeyPath(rest: string): KeyPath {
  const slash = rest.indexOf("/");
  const namespace = readNamespace(slash < 0 ? rest : rest.slice(0, slash));
  return { namespace, key: () => readKey(slash < 0 ? "" : rest.slice(slash + 1)) };
}

export const keyAccess = (method: string, namespace: string): Access => ({
  role: isRead(method) ? "read" : "write",
  namespace,
});

const namespaceOf = (call: Call): string => readNamespace(rawRest(call, KV));
const batchNamespaceOf = (call: Call): string =>
  readNamespace(rawRest(call, KV).slice(0, -BATCH.length));

export interface DataRouteParts extends RouteParts {
  readonly purgeSite: PurgeSite;
}

export function dataRoutes({
  secret,
  backendOf,
  guarded,
  purgeSite,
}: DataRouteParts): Hono<StarlingEnv> {
  const app = new Hono<StarlingEnv>();
  const oneKey = guarded(
    (call) => keyAccess(call.req.method, splitKeyPath(rawRest(call, KV)).namespace),
    (call) => {
      const { namespace, key } = splitKeyPath(rawRest(call, KV));
      const request = plainRequestOf(call.req.raw);
      call.set("plain", request);
      const plane = new DataPlane(backendOf(call), secret);
      return plane.handle({ request, namespace, key: key(), query: queryOf(call) });
    },
  );
  const list = guarded(
    (call) => ({ role: "read", namespace: namespaceOf(call) }),
    (call) => {
      const { raw: request } = call.req;
      const asked = { request, namespace: namespaceOf(call), query: queryOf(call) };
      return answerList(backendOf(call), secret, asked);
    },
  );
  // Only its body shows whether a batch writes; the right to write is checked there.
  const batch = guarded(
    (call) => ({ role: "read", namespace: batchNamespaceOf(call) }),
    (call) => {
      const { raw: request } = call.req;
      const namespace = batchNamespaceOf(call);
      const backend = backendOf(call);
      const view = backend.view();
      const settings = settingsOf(view, namespace);
      const options = readOptions(queryOf(call), request.headers.get("Starling-Quorum"));
      rulesOf(view, settings, options.quorum);
      const parts = { backend, hash: secret, namespace, settings, options };
      return answerBatch(request, { ...parts, grant: call.get("grant") });
    },
  );
  app.on(["GET", "PUT", "DELETE"], `${KV}:namespace/:key{.*}`, oneKey);
  app.post(`${KV}:namespace{[^/]*:batch}`, batch);
  app.get(`${KV}:namespace{(?!.*:batch$)[^/]+}`, list);
  // Only its body shows which namespace it is about; the right to write is checked there.
  const purge = guarded(
    () => ({ role: "write", namespace: OWN_NAMESPACES }),
    (call) => answerPurge({ backend: backendOf(call), purgeSite }, call.req.raw, call.get("grant")),
  );
  app.post("/v1/purge", purge);
  app.all(`${KV}*`, (call) => {
    const [namespace = ""] = rawRest(call, KV).split("/", 1);
    if (namespace !== "") return call.notFound();
    throw new Problem("invalid-key", "The path names no namespace: /v1/kv/{namespace}/{key}.");
  });
  return app;
}
