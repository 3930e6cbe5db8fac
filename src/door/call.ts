/** One request at the door: where it belongs, what its key is, and how its answers are made. */

import type { KeyedHash } from "../../core/keyed-hash.ts";
import type { SiteSettings } from "../../core/site.ts";
import { passedFields } from "../cache/answering.ts";
import {
  cacheKey,
  isHost,
  keptQuery,
  type Located,
  normalHost,
  urlOf,
} from "../cache/cache-key.ts";
import { type Fields, fieldOf, type RequestHead } from "../cache/fields.ts";
import { cameBy, noHops, parseForwarded } from "../cache/forwarded.ts";
import {
  type Client,
  forwardedFields,
  hostFor,
  oneHopLess,
  toldFields,
} from "../cache/forwarding.ts";
import type { Site } from "../frontend/backend/backend.ts";
import type { DoorRequest, OriginRequest } from "./ports.ts";

export interface DoorCall {
  readonly request: DoorRequest;
  /** The request as the origin is told it, by which answers are chosen and stored. */
  readonly head: RequestHead;
  readonly site: Site;
  readonly located: Located;
  readonly key: string;
  /** As the client named it, or as a proxy that is believed says that it did. */
  readonly publicHost: string;
  readonly clusterId: string;
}

export interface Addressed {
  readonly scheme: Located["scheme"];
  /** Without the door's own port: all doors of a site share what is stored. */
  readonly host: string;
  /** As the client named it; empty when it named none. */
  readonly publicHost: string;
  readonly path: string;
  readonly query: string | null;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)([^#]*)$/i;
/** What a request line may hold: an origin takes it as it stands (RFC 9112, 3.2). */
const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;

const withoutOwnPort = (host: string, port: number | null): string =>
  port !== null && host.endsWith(`:${port}`) ? host.slice(0, -`:${port}`.length) : host;

/** What a target says in origin-form; null when it is malformed. */
export function partsOf(target: string): Pick<Addressed, "path" | "query"> | null {
  if (!TARGET.test(target) || target.includes("#")) return null;
  const mark = target.indexOf("?");
  if (mark < 0) return { path: target, query: null };
  return { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Where a request wants to go; null when its target or its host is malformed. */
export function addressOf({ target, fields, scheme, port }: DoorRequest): Addressed | null {
  const absolute = ABSOLUTE.exec(target);
  const named = absolute === null ? fieldOf(fields, "host") : (absolute[1] ?? "");
  // HTTP/1.0 need not say a host; listeners refuse any later version without one.
  const host = named ?? "";
  const rest = absolute === null ? target : absolute[2] || "/";
  const parts = partsOf(rest.startsWith("?") ? `/${rest}` : rest);
  if (parts === null || (named !== null && !isHost(host))) return null;
  const publicHost = normalHost(host, scheme);
  return { scheme, host: withoutOwnPort(publicHost, port), publicHost, ...parts };
}

/** What this cluster calls itself in `CDN-Loop`: nothing that another one could be called. */
export const clusterIdOf = (secret: KeyedHash, name: string): string =>
  secret.digest(`cdn-loop ${name}`).toString(36);

/** What a request says beside its target: who asks, and for which host. */
export interface Standing extends Pick<DoorCall, "site" | "clusterId" | "publicHost"> {
  readonly scheme: Located["scheme"];
  /** The one in the key. */
  readonly host: string;
  /** As the origin is told them. */
  readonly fields: Fields;
}

export function standingOf(
  request: DoorRequest,
  { site, clusterId, addressed }: { site: Site; clusterId: string; addressed: Addressed },
): Standing {
  const { settings } = site;
  const isTrusted = settings.trustedProxies.length > 0 && request.isFrom(settings.trustedProxies);
  const forwarded = isTrusted ? parseForwarded(fieldOf(request.fields, "forwarded")) : noHops;
  const came = isTrusted ? cameBy(request.fields, forwarded) : noHops;
  const scheme = came.proto ?? addressed.scheme;
  // Who names no host is shown what the origin answers to by itself.
  const nameless = addressed.publicHost === "" ? new URL(settings.origin).host : null;
  const publicHost = normalHost(came.host ?? nameless ?? addressed.publicHost, scheme);
  // An origin that is asked under the client's own host may answer with its port too.
  const isPublic = settings.originHost === "client" || came.host !== null;
  const host = isPublic ? publicHost : normalHost(nameless ?? addressed.host, scheme);
  const client: Client = { address: request.address, isTrusted, forwarded };
  const fields = toldFields(request.fields, { client, scheme, publicHost });
  return { site, clusterId, publicHost, scheme, host, fields };
}

export function makeCall(
  request: DoorRequest,
  { site, clusterId, publicHost, scheme, host, fields }: Standing,
  { path, query }: Pick<Addressed, "path" | "query">,
): DoorCall {
  const located = { scheme, host, path, query };
  const key = cacheKey(located, fields, site.settings.cacheKey);
  const head = { method: request.method, fields };
  return { request, head, site, located, key, publicHost, clusterId };
}

/** The request to the origin. @param more fields that replace the client's, such as conditions */
export function toOrigin(
  call: DoorCall,
  { method, fields, more = [] }: { method: string; fields: Fields; more?: Fields },
): OriginRequest {
  const { request, site, located, clusterId } = call;
  const path = urlOf({
    ...located,
    query: keptQuery(located.query, site.settings.cacheKey),
  }).slice(`${located.scheme}://${located.host}`.length);
  return {
    site: site.settings,
    method,
    target: path,
    host: hostFor(site.settings, located),
    fields: [...forwardedFields(oneHopLess({ method, fields }), clusterId), ...more],
    body: request.body,
    bodyLength: fieldOf(request.fields, "content-length"),
    onInterim: interimOf(request.onInterim, site.settings),
  };
}

/** Interim answers as the client is told of them; it holds nothing else of the call. */
function interimOf(
  tell: DoorRequest["onInterim"],
  settings: SiteSettings,
): OriginRequest["onInterim"] {
  if (tell === undefined) return undefined;
  return (status, fields) => tell(status, passedFields(fields, settings));
}

/** The public URL. */
export const urlOfCall = ({ located }: DoorCall): string => urlOf(located);
