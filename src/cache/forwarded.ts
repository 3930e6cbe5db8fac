/** `Forwarded` (RFC 7239): the same as three `X-Forwarded-*`, in one field with a grammar. */
import { isHost } from "./cache-key.ts";
import { membersOf } from "./directives.ts";
import { type Fields, fieldOf } from "./fields.ts";

export interface ForwardedHops {
  /** Who asked each proxy, the client first: addresses without ports, or names that hide one. */
  readonly addresses: readonly string[];
  /** How and where the client came to the first of them. */
  readonly proto: "http" | "https" | null;
  readonly host: string | null;
}

export const noHops: ForwardedHops = { addresses: [], proto: null, host: null };

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PAIR = new RegExp(`^(${TOKEN})=(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))$`);
const HOST_LENGTH_MAX = 255;
/** An IPv6 address in brackets, or what holds no colon; either with a port. */
const NODE = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\],;]+))(?::[\w.-]+)?$/;

const protoIn = (text: string): ForwardedHops["proto"] => {
  const proto = text.toLowerCase();
  return proto === "http" || proto === "https" ? proto : null;
};
const hostIn = (text: string): string | null =>
  text.length <= HOST_LENGTH_MAX && isHost(text) ? text : null;

/**
 * The pairs of one hop. Of a name that comes twice the first counts; what is no pair is left out.
 */
function pairsOf(hop: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const text of membersOf(hop, ";")) {
    const [, name = "", quoted, token = ""] = PAIR.exec(text) ?? [];
    const key = name.toLowerCase();
    if (!pairs.has(key)) pairs.set(key, quoted?.replace(/\\(.)/g, "$1") ?? token);
  }
  return pairs;
}

/** Text that does not fit the grammar counts as nothing. */
export function parseForwarded(text: string | null): ForwardedHops {
  if (text === null) return noHops;
  const hops = membersOf(text, ",").map(pairsOf);
  const addresses = hops.flatMap((hop) => {
    const [, ipv6, other] = NODE.exec(hop.get("for") ?? "") ?? [];
    return ipv6 ?? other ?? [];
  });
  const first = hops[0];
  return {
    addresses,
    proto: protoIn(first?.get("proto") ?? ""),
    host: hostIn(first?.get("host") ?? ""),
  };
}

/**
 * How and where the client came to the first proxy: by `X-Forwarded-*`, which are plainer, or else
 * by `Forwarded`.
 */
export function cameBy(
  fields: Fields,
  forwarded: ForwardedHops,
): Pick<ForwardedHops, "proto" | "host"> {
  const first = (name: string): string =>
    (fieldOf(fields, name) ?? "").split(",", 1)[0]?.trim() ?? "";
  return {
    proto: protoIn(first("x-forwarded-proto")) ?? forwarded.proto,
    host: hostIn(first("x-forwarded-host")) ?? forwarded.host,
  };
}

/** One hop more, by the address that it came from. */
export const hopOf = (address: string): string =>
  address.includes(":") ? `for="[${address}]"` : `for=${address}`;
