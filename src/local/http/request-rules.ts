/**
 * What RFC 9112 asks of a request beyond what Node's parser checks. A breach is refused before
 * anybody looks at the request, and the connection closed: another program on its way may have
 * read it otherwise (request smuggling, RFC 9112, 11.2).
 */
import type { IncomingMessage } from "node:http";
import {
  faultyFraming,
  malformed,
  malformedHost,
  malformedTarget,
  type Refusal,
  unknownCoding,
  unknownVersion,
} from "./refusals.ts";

/** `uri-host [ ":" port ]` (RFC 9110, 7.2); an http URL without a host is invalid (4.2.1). */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::([0-9]{0,5}))?$/;
const PORT_MAX = 65_535;
const ABSOLUTE = /^https?:\/\/[^/?#]/i;

/** Most requests name the same one. */
let lastHost = "";

export function isHost(text: string): boolean {
  if (text === lastHost && text !== "") return true;
  const found = HOST.exec(text);
  const isOne = found !== null && Number(found[1] ?? 0) <= PORT_MAX;
  if (isOne) lastHost = text;
  return isOne;
}

/** What the headers say that decide whose request this is and where it ends. */
interface Framing {
  readonly hostCount: number;
  readonly hasGoodHosts: boolean;
  /** As one list (RFC 9110, 5.3). */
  readonly codings: string;
}

/** One walk over the raw headers: Node's own table keeps the first Host and drops the others. */
function framingOf(raw: readonly string[]): Framing {
  let hostCount = 0;
  let hasGoodHosts = true;
  let codings = "";
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.length === 4 && (name === "Host" || name.toLowerCase() === "host")) {
      hostCount++;
      hasGoodHosts &&= isHost(raw[i + 1] as string);
    } else if (name.length === 17 && name.toLowerCase() === "transfer-encoding") {
      codings += `${codings === "" ? "" : ","}${raw[i + 1]}`;
    }
  }
  return { hostCount, hasGoodHosts, codings };
}

/** What is wrong with a request as HTTP; null when nothing is. */
export function breachOf(incoming: IncomingMessage): Refusal | null {
  const { httpVersion, method, url = "" } = incoming;
  // Node's parser takes a request line without any version for one of HTTP/0.9.
  if (httpVersion === "0.9") return malformed;
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return unknownVersion;
  const { hostCount, hasGoodHosts, codings } = framingOf(incoming.rawHeaders);
  // HTTP/1.0 may leave Host out: health checks of proxies do.
  const isComplete = hostCount === 1 || (hostCount === 0 && httpVersion === "1.0");
  if (!isComplete || !hasGoodHosts) return malformedHost;
  if (codings !== "" && httpVersion === "1.0") return faultyFraming;
  if (codings !== "" && codings.trim().toLowerCase() !== "chunked") return unknownCoding;
  const isForm = url.startsWith("/") || ABSOLUTE.test(url) || (url === "*" && method === "OPTIONS");
  return isForm ? null : malformedTarget;
}
