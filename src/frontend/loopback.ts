/**
 * Guards a frontend that listens only on loopback, where without tokens everybody may do
 * everything. Other machines cannot reach it, but a page of any site that its user visits can: the
 * browser runs on this machine. The page would come under a name that was made to point here (DNS
 * rebinding), or send what needs no permission of ours (a form, a `POST` of plain text) just for
 * its effect. Browsers say which page asks, and no page can change what they say.
 */
import type { PlainRequest } from "./http/exchange.ts";
import { isNamed } from "./http/origins.ts";
import { Problem } from "./http/problems.ts";

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?$/i;
const SAFE_METHODS = new Set(["GET", "HEAD"]);
/** `Sec-Fetch-Site` of requests from pages of other origins (W3C Fetch Metadata, 2.3). */
const FOREIGN_SITES = new Set(["cross-site", "same-site"]);

function refuseStrangeHost(host: string): void {
  if (LOOPBACK_HOST.test(host)) return;
  const detail = "This frontend serves loopback only: ask it as localhost or 127.0.0.1.";
  throw new Problem("misdirected-request", detail);
}

/** Whether a browser sends this on behalf of a page that did not come from this frontend. */
function isOfAnotherPage({ headers }: PlainRequest, host: string): boolean {
  const origin = headers.get("Origin")?.toLowerCase();
  if (origin === undefined) return FOREIGN_SITES.has(headers.get("Sec-Fetch-Site") ?? "");
  const own = host.toLowerCase();
  return origin !== `http://${own}` && origin !== `https://${own}`;
}

/**
 * The user follows a link to here, which opens as a page of its own: the other page learns nothing.
 */
const isLinkFollowed = ({ method, headers }: PlainRequest): boolean =>
  SAFE_METHODS.has(method) &&
  headers.get("Origin") === null &&
  headers.get("Sec-Fetch-Mode") === "navigate" &&
  headers.get("Sec-Fetch-Dest") === "document";

/**
 * @param welcome origins whose pages are served all the same
 * @throws Problem `misdirected-request` or `cross-site`
 */
export function refuseStrangers(
  request: PlainRequest,
  host: string,
  welcome: readonly string[] = [],
): void {
  refuseStrangeHost(host);
  if (isNamed(welcome, request.headers.get("Origin"))) return;
  if (!isOfAnotherPage(request, host) || isLinkFollowed(request)) return;
  const detail = "A page of another origin may not use a frontend that serves loopback only.";
  throw new Problem("cross-site", detail);
}
