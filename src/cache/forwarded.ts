/** `Forwarded` (RFC 7239): the same as three `X-Forwarded-*`, in one field with a grammar. */
import { membersOf } from "./directives.ts";

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
const HOST = /^[A-Za-z0-9._~:[\]-]{1,255}$/;
/** An IPv6 address in brackets, or what holds no colon; either with a port. */
const NODE = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\],;]+))(?::[\w.-]+)?$/;

/** The pairs of one hop; of a name that comes twice the first counts. What is none is left out. */
function pairsOf(hop: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const text of membersOf(hop, ";")) {
    const [, name = "", quoted, token = ""] = PAIR.exec(text) ?? [];
    const key = name.toLowerCase();
    if (!pairs.has(key)) pairs.set(key, quoted?.replace(/\\(.)/g, "$1") ?? token);
  }
  return pairs;
}

/** What is not of the grammar says nothing. */
export function parseForwarded(text: string | null): ForwardedHops {
  if (text === null) return noHops;
  const hops = membersOf(text, ",").map(pairsOf);
  const addresses = hops.flatMap((hop) => {
    const [, ipv6, other] = NODE.exec(hop.get("for") ?? "") ?? [];
    return ipv6 ?? other ?? [];
  });
  const first = hops[0];
  const proto = first?.get("proto")?.toLowerCase();
  const host = first?.get("host") ?? "";
  return {
    addresses,
    proto: proto === "http" || proto === "https" ? proto : null,
    host: HOST.test(host) ? host : null,
  };
}

/** One hop more, by the address that it came from. */
export const hopOf = (address: string): string =>
  address.includes(":") ? `for="[${address}]"` : `for=${address}`;
