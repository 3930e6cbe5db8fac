/** The client library, as the client commands use it. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { oncePer } from "../../core/once-per.ts";
import { StarlingClient } from "../client/client.ts";
import { StarlingError } from "../client/error.ts";
import { readWhole } from "../client/got.ts";
import { keyPath as pathOfKey } from "../client/key-path.ts";
import { codeOf } from "../client/refused.ts";
import { mayPass, pause, Transport, type TransportRequest } from "../client/transport.ts";
import { CliError, EXIT, UsageError } from "./output.ts";
import { plainFetch } from "./plain-fetch.ts";

export interface Endpoint {
  /** Frontends of one cluster. */
  readonly urls: readonly string[];
  readonly token: string | undefined;
}

export interface RequestOptions {
  readonly method?: TransportRequest["method"];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  /** Whether it may be sent again when its outcome is unknown; by default no write is. */
  readonly isRepeatable?: boolean;
  /** Attempts after the first, of what may be repeated; default `RETRIES`. */
  readonly retries?: number;
  /** Whether it changes anything; by default as the method says. */
  readonly isWrite?: boolean;
}

/** Attempts after the first, unless a command says otherwise. */
const RETRIES = 2;
/** An exchange with all peers, or a commit, is answered when it is over. */
const ANSWER_MS_MAX = 300_000;
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * The urls of a list with commas; `localhost:8787` will do.
 *
 * @throws UsageError
 */
export function urlsOf(text: string): readonly string[] {
  const parts = text.split(",").map((part) => part.trim());
  const urls = parts.filter((part) => part !== "");
  if (urls.length === 0) throw new UsageError("--url: give a url, or several with commas");
  return urls.map((part) => {
    const url = (SCHEME.test(part) ? part : `http://${part}`).replace(/\/+$/, "");
    const isHttp = /^https?:\/\/[^/?#]+$/i.test(url);
    if (isHttp && URL.canParse(url)) return url;
    throw new UsageError(`--url: "${part}" is no http:// or https:// url of a frontend`);
  });
}

/** One key's path. @throws UsageError for a key that no URL can carry */
export function keyPath(namespace: string, key: string): string {
  try {
    return pathOfKey(namespace, key);
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

/** Trusts the authorities of a PEM file too, in all requests from now on. @throws CliError */
export function trust(caFile: string): void {
  try {
    const authorities = readFileSync(caFile, "utf8");
    // Given a text without a certificate, Node forgets all authorities and says nothing.
    new X509Certificate(authorities);
    setDefaultCACertificates([...getCACertificates("default"), authorities]);
  } catch (error) {
    const { code = "no PEM" } = error as NodeJS.ErrnoException;
    throw new CliError(`${caFile}: it holds no certificates to trust (${code})`);
  }
}

/** What to do when a request did not get through, by the reason's code. */
function mendFor(code: string): string {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "its certificate is for another host";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired";
  const isUntrusted = /SELF_SIGNED|UNABLE_TO|SELF-SIGNED/.test(code);
  if (isUntrusted) return "its certificate is not trusted: give its CA with --ca FILE";
  if (code === "EPROTO" || code === "ERR_SSL_WRONG_VERSION_NUMBER") return "it speaks plain http";
  if (code === "ECONNRESET" || code.startsWith("HPE_")) {
    return "it closed the connection; does its url begin with https://?";
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "is the name right?";
  return "is it running?";
}

/** What a command says of a problem: the API's advice on headers is no help to a user of flags. */
export function detailFor(
  { token }: Endpoint,
  { code, detail }: { readonly code: string; readonly detail: string },
): string {
  if (code !== "unauthorized") return detail;
  if (token === undefined) return "A token is needed: give --token, or set STARLING_TOKEN.";
  return "The token is not known here: look at --token and STARLING_TOKEN.";
}

function lineOf(endpoint: Endpoint, error: StarlingError): string {
  const { urls } = endpoint;
  const { status, code, outcome } = error;
  const detail = detailFor(endpoint, error);
  if (status === 0) {
    const reason = codeOf(error.cause) ?? "no answer";
    const who =
      urls.length === 1 ? `${urls[0]} does not answer` : `none of ${urls.join(", ")} answers`;
    const doubt = outcome === "unknown" ? "; the write may have happened" : "";
    return `${who} (${reason}); ${mendFor(reason)}${doubt}`;
  }
  // The problem document of a write in doubt says so itself.
  const doubt = outcome === "unknown" && !/unknown/.test(detail);
  return `${detail} (${code}, HTTP ${status}${doubt ? "; the write may have happened" : ""})`;
}

/** The failure in one line, with the exit status that belongs to it. */
export function failureOf(endpoint: Endpoint, error: unknown): unknown {
  if (!(error instanceof StarlingError)) return error;
  const { status, code } = error;
  const exit = status === 0 ? EXIT.nobody : code === "not-found" ? EXIT.nothing : EXIT.failed;
  return new CliError(lineOf(endpoint, error), exit, error);
}

/** Whether a command failed only because the cluster is away, or busy. */
export const isPassing = (error: unknown): error is CliError =>
  error instanceof CliError && error.cause instanceof StarlingError && mayPass(error.cause);

/** Runs work of the client library. @throws CliError */
export async function failingWell<Out>(endpoint: Endpoint, work: () => Promise<Out>): Promise<Out> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(endpoint, error);
  }
}

/**
 * The client library for one namespace. Values come as they are stored.
 *
 * @param retries for what may be repeated, while the cluster is busy or short of replicas
 */
export function clientOf(endpoint: Endpoint, namespace: string, retries = RETRIES): StarlingClient {
  const { urls, token } = endpoint;
  try {
    return new StarlingClient({
      url: urls,
      namespace,
      retries,
      fetch: plainFetch,
      decompress: false,
      ...(token === undefined ? {} : { token }),
    });
  } catch (error) {
    // A malformed namespace.
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

/** One for each endpoint, so that all requests of a command know which frontends are away. */
const transportOf = oncePer(
  ({ urls, token }: Endpoint) =>
    new Transport({
      urls,
      token,
      fetch: plainFetch,
      retries: RETRIES,
      attemptTimeoutMs: ANSWER_MS_MAX,
      random: Math.random,
      wait: pause,
    }),
);

/** Before a command does again what failed: as long as between the client's own rounds. */
export const pauseBeforeRound = (endpoint: Endpoint, round: number): Promise<void> =>
  transportOf(endpoint).pauseBeforeRound(round, undefined);

/**
 * Any request: to the frontends in turn, and again where that is safe.
 *
 * @param isExpected which answers are to be handed out; the others are thrown
 * @throws StarlingError
 */
export function send(
  endpoint: Endpoint,
  target: string,
  options: RequestOptions & { readonly isExpected: TransportRequest["isExpected"] },
): Promise<Response> {
  const { method = "GET", body, headers = {}, isExpected } = options;
  const isSafe = method === "GET" || method === "HEAD";
  const { isWrite = !isSafe } = options;
  return transportOf(endpoint).send({
    method,
    target,
    headers: new Headers(headers),
    ...(body === undefined ? {} : { body }),
    isWrite,
    isRepeatable: options.isRepeatable ?? false,
    ...(options.retries === undefined ? {} : { retries: options.retries }),
    signal: undefined,
    isExpected,
  });
}

/** The body of an answer, to its end. @throws StarlingError when it breaks off */
export const bytesOf = (response: Response): Promise<Uint8Array> =>
  readWhole(response, async (body) => new Uint8Array(await body.arrayBuffer()));

/** @throws CliError for anything but a 2xx */
export function sendJson(
  endpoint: Endpoint,
  path: string,
  options: RequestOptions = {},
): Promise<unknown> {
  return failingWell(endpoint, async () => {
    const isExpected = (response: Response): boolean => response.ok;
    const response = await send(endpoint, path, { ...options, isExpected });
    const text = await readWhole(response, (body) => body.text());
    return text === "" ? null : (JSON.parse(text) as unknown);
  });
}

/**
 * For commands that go on through outages: some frontend has to answer at their start.
 *
 * @throws CliError with `EXIT.nobody`
 */
export async function findSomebody(endpoint: Endpoint): Promise<void> {
  const isExpected = (): boolean => true;
  const answer = await failingWell(endpoint, () => send(endpoint, "/healthz", { isExpected }));
  await answer.body?.cancel();
}
