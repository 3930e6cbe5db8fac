/** What the origin is told (RFC 9110, 7.6; RFC 7239; RFC 8586): fields made anew, or passed on. */
import type { SiteSettings } from "../../core/site.ts";
import { type Located, normalHost } from "./cache-key.ts";
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
  /** What it says in `Forwarded`; empty for a stranger. */
  readonly forwarded: ForwardedHops;
}

/** Fields that would make an origin answer for another URL, host or method than the key's. */
const OVERRIDES = [
  ...["x-original-url", "x-original-host", "x-rewrite-url", "x-host", "x-http-host-override"],
  ...["x-http-method-override", "x-http-method", "x-method-override"],
];
/** Other fields that only a site's own proxies may say. */
const STEERING = [
  "forwarded",
  "x-forwarded-port",
  "x-forwarded-server",
  "x-forwarded-prefix",
  "x-forwarded-scheme",
  "x-forwarded-ssl",
  "x-real-ip",
];
/** The origin is told the scheme and the host that are in the key, and no others. */
const MADE_ANEW = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
const DROPPED_OF_PROXIES = new Set([...MADE_ANEW, ...OVERRIDES]);
const DROPPED_OF_STRANGERS = new Set([...DROPPED_OF_PROXIES, ...STEERING]);

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

/** The fields with one server less that the request may pass, where they name a number. */
export function oneHopLess({ method, fields }: RequestHead): Fields {
  const hops = hopsLeft({ method, fields });
  return hops === null ? fields : withField(fields, "Max-Forwards", `${Math.max(0, hops - 1)}`);
}

/** How a request came, and from whom. */
export interface Came {
  readonly client: Client;
  readonly scheme: Located["scheme"];
  readonly publicHost: string;
}

/** Whether `Forwarded` names the scheme and the host of the key, as far as it names any. */
function isOfKey({ client, scheme, publicHost }: Came): boolean {
  const { proto, host } = client.forwarded;
  const isHosts = host === null || normalHost(host, scheme) === publicHost;
  return isHosts && (proto ?? scheme) === scheme;
}

/** `Forwarded` with one more hop, where a trusted proxy sent one; never one for another host. */
function withHop(fields: Fields, came: Came): Fields {
  const { address } = came.client;
  if (!has(fields, "forwarded")) return fields;
  if (!isOfKey(came)) return without(fields, new Set(["forwarded"]));
  return address === "" ? fields : appended(fields, "Forwarded", hopOf(address));
}

/** The names of fields that end at the door or are made anew; most requests have none. */
const SPECIAL = /^(?:connection|forwarded|x-)/i;
const ENDS_NOTHING = /^(?:keep-alive|close)$/i;

const isSpecial = ([name, value]: Field): boolean =>
  SPECIAL.test(name) && !(name.toLowerCase() === "connection" && ENDS_NOTHING.test(value));

/**
 * The fields of a request that its answer may depend on, and that it is compared with others by:
 * without what ends at the door, and with what the origin is told of where it came from. Otherwise
 * a client could have an answer stored under fields that the origin was never told.
 */
export function toldFields(fields: Fields, came: Came): Fields {
  const { client, scheme, publicHost } = came;
  const dropped = client.isTrusted ? DROPPED_OF_PROXIES : DROPPED_OF_STRANGERS;
  const own = fields.some(isSpecial) ? withHop(without(endToEnd(fields), dropped), came) : fields;
  return [
    ...own,
    ...forwardedFor(fields, client),
    ["X-Forwarded-Proto", scheme],
    ["X-Forwarded-Host", publicHost],
  ];
}

/** The `Host` that the origin sees. */
export const hostFor = (site: SiteSettings, located: Located): string =>
  site.originHost === "client" ? located.host : new URL(site.origin).host;

/** Set anew by whoever sends the request, or by the door for its own purposes. */
const OF_THE_HOP = new Set(["host", "content-length", "expect", "accept-encoding"]);

/**
 * The request's fields for the origin. `Host` is the fetcher's to set; framing is made anew.
 *
 * @param fields see `toldFields`; without what the door itself asks for
 */
export function forwardedFields(fields: Fields, clusterId: string): Fields {
  const plain = without(endToEnd(fields), OF_THE_HOP).filter(([name]) => !isOurs(name));
  const encoding = normalisedEncoding(fieldOf(fields, "accept-encoding"));
  const told: Fields = encoding === null ? plain : [...plain, ["Accept-Encoding", encoding]];
  return appended(appended(told, "Via", "1.1 starling"), LOOP, loopId(clusterId));
}
