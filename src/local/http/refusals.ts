/**
 * What the listener itself refuses, in the same words as everything else: a problem document (RFC
 * 9457), even where Node's parser has not got as far as a request.
 */
import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { sayLast } from "../process/last-words.ts";

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

const refusal = (status: number, code: string, detail: string): Refusal => ({
  status,
  code,
  detail,
});

export const malformed = refusal(
  400,
  "malformed-request",
  "The request is not well-formed HTTP/1.1. The connection is closed.",
);

export const malformedHost = refusal(
  400,
  "malformed-request",
  "A request has one Host header, with a host and maybe a port. The connection is closed.",
);

export const malformedTarget = refusal(
  400,
  "malformed-request",
  "The request target is a path, or an absolute URL of http. The connection is closed.",
);

export const faultyFraming = refusal(
  400,
  "malformed-request",
  "HTTP/1.0 knows no Transfer-Encoding, so the body's end is unknown. The connection is closed.",
);

export const incompleteBody = refusal(
  400,
  "incomplete-body",
  "The body ended before its announced length. Nothing was stored.",
);

export const noSuchRoute = refusal(404, "no-such-route", "There is no such route.");

export const timedOut = refusal(
  408,
  "request-timeout",
  "The headers or the body did not arrive in time. The connection is closed.",
);

export const expectationFailed = refusal(
  417,
  "expectation-failed",
  "The only expectation that can be met is 100-continue.",
);

export const overloaded = refusal(
  429,
  "overloaded",
  "The node has as many requests at work as it takes. Try again shortly.",
);

const headersTooLarge = refusal(
  431,
  "headers-too-large",
  "The headers are larger than this server takes.",
);

/** An answer that cannot be written down: it may be that of a write. */
export const unsendable = refusal(
  500,
  "internal-error",
  "The answer has a header that cannot be sent. The outcome of a write is unknown: it may surface.",
);

export const unknownMethod = refusal(
  501,
  "method-not-implemented",
  "No route takes this method. The connection is closed.",
);

export const unknownCoding = refusal(
  501,
  "coding-not-implemented",
  "The only transfer coding that is taken is chunked: what is stored is the body as it was sent.",
);

export const unknownVersion = refusal(
  505,
  "version-not-supported",
  "This server speaks HTTP/1.1 and HTTP/1.0. The connection is closed.",
);

/** The code of Node's own parser for an error, and what is answered to it. */
const BY_ERROR: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: timedOut,
  HPE_HEADER_OVERFLOW: headersTooLarge,
  HPE_INVALID_EOF_STATE: incompleteBody,
  // The preface with which clients open HTTP/2 (RFC 9113, 3.4).
  HPE_PAUSED_H2_UPGRADE: unknownVersion,
};

/** An error of Node's HTTP parser. */
export interface ParserError extends Error {
  readonly code?: string | undefined;
  readonly rawPacket?: Uint8Array;
  readonly bytesParsed?: number;
}

/** A request line that is well-formed but for what the parser does not know. */
const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP\/[0-9]\.[0-9]\r?$/;

/** The line of the last packet in which the parser stopped. */
function lineOf({ rawPacket, bytesParsed = 0 }: ParserError): string {
  if (rawPacket === undefined) return "";
  const text = Buffer.from(rawPacket).toString("latin1");
  const from = text.lastIndexOf("\n", Math.max(0, bytesParsed - 1)) + 1;
  return text.slice(from).split("\n", 1)[0] ?? "";
}

/** The answer to an error of the parser (RFC 9110, 15.6.2 and 15.6.6; RFC 9112, 3). */
export function refusalOf(error: ParserError): Refusal {
  const known = BY_ERROR[error.code ?? ""];
  if (known !== undefined) return known;
  const isMethod = error.code === "HPE_INVALID_METHOD";
  if (!isMethod && error.code !== "HPE_INVALID_VERSION") return malformed;
  if (!REQUEST_LINE.test(lineOf(error))) return malformed;
  return isMethod ? unknownMethod : unknownVersion;
}

function problemText({ status, code, detail }: Refusal): string {
  const type = `https://starling.dev/problems/${code}`;
  return JSON.stringify({ type, title: STATUS_CODES[status], status, detail, code });
}

const headersOf = (body: string): Record<string, string> => ({
  "Content-Type": "application/problem+json",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
  "Content-Length": String(Buffer.byteLength(body)),
});

/** Answers on a connection on which there is no request to answer, and closes it. */
export function refuseRaw(socket: Duplex, refused: Refusal): void {
  const body = problemText(refused);
  const headers = { ...headersOf(body), Date: new Date().toUTCString(), Connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status]}`, ...lines];
  sayLast(socket, `${head.join("\r\n")}\r\n\r\n${body}`);
}

/** The problem as a `Response`. */
export function problemResponse(refused: Refusal): Response {
  const body = problemText(refused);
  return new Response(body, { status: refused.status, headers: headersOf(body) });
}

/** Answers a request with a problem. @param more further headers */
export function refuse(
  response: ServerResponse,
  refused: Refusal,
  more: Readonly<Record<string, string>> = {},
): void {
  const body = problemText(refused);
  response.writeHead(refused.status, { ...headersOf(body), ...more });
  response.end(response.req.method === "HEAD" ? undefined : body);
}
