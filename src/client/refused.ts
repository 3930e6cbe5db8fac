/**
 * Whether a `fetch` failed before anything of the request was sent: then it was done nowhere. Only
 * certainty counts; on hosts that give no reason (browsers) a write stays in doubt.
 */

/** Of Node (its resolver's and its sockets', and undici's own), of Bun, and of OpenSSL. */
const CODES = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  "ConnectionRefused",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);
/** Deno has words alone; undici too for a port that is another protocol's (Fetch, 2.9). */
const WORDS = /tcp connect error|dns error|invalid peer certificate|bad port|are blocked$/i;

interface Reason {
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/** An error, its causes, and the errors that it was put together from. */
function* reasonsOf(error: unknown): Iterable<Reason> {
  let at = error;
  for (let depth = 0; depth < 5 && typeof at === "object" && at !== null; depth++) {
    const reason = at as Reason;
    yield reason;
    at = reason.cause;
  }
}

function isSure({ code, syscall, message, errors }: Reason): boolean {
  if (code === "ETIMEDOUT" && syscall === "connect") return true;
  if (typeof code === "string" && CODES.has(code)) return true;
  // A host with several addresses: none of them may have taken anything.
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isSure);
  return typeof message === "string" && WORDS.test(message);
}

/** What kept the request from being sent; null when it may have been. */
export function refusedBy(error: unknown): string | null {
  for (const reason of reasonsOf(error)) {
    if (!isSure(reason)) continue;
    return typeof reason.code === "string" ? reason.code : "refused";
  }
  return null;
}

/** Whatever code an error or one of its causes has; null for none. */
export function codeOf(error: unknown): string | null {
  for (const { code } of reasonsOf(error)) if (typeof code === "string") return code;
  return null;
}
