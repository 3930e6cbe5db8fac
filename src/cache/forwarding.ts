/** What the origin is told (RFC 9110, 7.6; RFC 7239; RFC 8586): fields made anew, or passed on. */
import type { SiteSettings } from "../../core/site.ts";
import type { Located } from "./cache-key.ts";
import {
  endToEnd,
  type Field,
  type Fields,
  fieldOf,
  has,
  type RequestHead,
  withField,
  without,
} from "./fields.ts";
import { type ForwardedHops, hopOf } from "./forwarded.ts";
import { normalisedEncoding } from "./vary.ts";

export interface Client {
  /** Its address; empty when the host does not know it. */
  readonly address: string;
  /** It is one of the site's own proxies, and what it forwards is believed. */
  readonly isTrusted: boolean;
  /** What it says in `Forwarded`; nothing of a stranger. */
  readonly forwarded: ForwardedHops;
}

/** Fields by which a stranger could make an origin answer for another URL, host or method. */
const STEERING = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-server",
  "x-forwarded-prefix",
  "x-forwarded-scheme",
  "x-forwarded-ssl",
  "x-original-url",
  "x-original-host",
  "x-rewrite-url",
  "x-host",
  "x-http-host-override",
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-real-ip",
]);

const isOurs = (name: string): boolean => name.toLowerCase().startsWith("starling-");

/** Appends to a list field, or begins it. */
function appended(fields: Fields, name: string, value: string): Fields {
  const before = fieldOf(fields, name.toLowerCase());
  const rest = without(fields, new Set([name.toLowerCase()]));
  return [...rest, [name, before === null || before.trim() === "" ? value : `${before}, ${value}`]];
}

const LOOP = "CDN-Loop";

/** The name under which this cluster is in `CDN-Loop`. */
export const loopId = (clusterId: string): string => `starling-${clusterId}`;

/** Whether the request has been through this very cluster (RFC 8586, 2). */
export function isLoop(fields: Fields, clusterId: string): boolean {
  const list = fieldOf(fields, LOOP.toLowerCase());
  if (list === null) return false;
  const id = loopId(clusterId).toLowerCase();
  return list.split(",").some((info) => info.split(";", 1)[0]?.trim().toLowerCase() === id);
}

function forwardedFor(fields: Fields, { address, isTrusted, forwarded }: Client): Fields {
  const chain = isTrusted ? fieldOf(fields, "x-forwarded-for") : null;
  const hops = [...(chain === null ? forwarded.addresses : [chain]), address];
  const told = hops.filter((part) => part !== "");
  return told.length === 0 ? [] : [["X-Forwarded-For", told.join(", ")]];
}

/** RFC 9110, 7.6.2: how many servers more a request may pass; null where it does not say. */
export function hopsLeft({ method, fields }: RequestHead): number | null {
  if (method !== "OPTIONS" && method !== "TRACE") return null;
  const text = fieldOf(fields, "max-forwards") ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** One server less that the request may pass, where it says how many. */
export function oneHopLess({ method, fields }: RequestHead): Fields {
  const hops = hopsLeft({ method, fields });
  return hops === null ? fields : withField(fields, "Max-Forwards", `${Math.max(0, hops - 1)}`);
}

export interface ForwardParts {
  readonly site: SiteSettings;
  readonly client: Client;
  readonly located: Located;
  /** The host as the client named it. */
  readonly publicHost: string;
  readonly clusterId: string;
}

/** The `Host` that the origin sees. */
export const hostFor = ({ site, located }: ForwardParts): string =>
  site.originHost === "client" ? located.host : new URL(site.origin).host;

/**
 * The request's fields for the origin. `Host` is the fetcher's to set; framing is made anew.
 *
 * @param fields the client's, without what the door itself asks for
 */
export function forwardedFields(fields: Fields, parts: ForwardParts): Fields {
  const { client, located, publicHost, clusterId } = parts;
  const said = client.isTrusted ? fields : without(fields, STEERING);
  const dropped = new Set([
    ...["host", "content-length", "expect", "x-forwarded-for", "accept-encoding"],
  ]);
  const plain = without(endToEnd(said), dropped).filter(([name]) => !isOurs(name));
  const encoding = normalisedEncoding(fieldOf(fields, "accept-encoding"));
  const isTold = (name: string): boolean => client.isTrusted && has(fields, name);
  const named: Field[] = [
    ...(encoding === null ? [] : [["Accept-Encoding", encoding] as const]),
    ...forwardedFor(fields, client),
    ...(isTold("x-forwarded-proto") ? [] : [["X-Forwarded-Proto", located.scheme] as const]),
    ...(isTold("x-forwarded-host")
      ? []
      : [["X-Forwarded-Host", client.forwarded.host ?? publicHost] as const]),
  ];
  const hop = hopOf(client.address);
  const isLonger = isTold("forwarded") && client.address !== "";
  const told: Fields = [...(isLonger ? appended(plain, "Forwarded", hop) : plain), ...named];
  return appended(appended(told, "Via", "1.1 starling"), LOOP, loopId(clusterId));
}
