/** HTTP to a frontend, for the client commands. */
import { readFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { keyPath as pathOfKey } from "../client/key-path.ts";
import { CliError } from "./output.ts";

export interface Endpoint {
  readonly url: string;
  readonly token: string | undefined;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** One key's path. @throws CliError for a key that no URL can carry */
export function keyPath(namespace: string, key: string): string {
  try {
    return pathOfKey(namespace, key);
  } catch (error) {
    throw error instanceof RangeError ? new CliError(error.message) : error;
  }
}

/** Trusts the authorities of a PEM file too, in all requests from now on. @throws CliError */
export function trust(caFile: string): void {
  try {
    const authorities = readFileSync(caFile, "utf8");
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
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") return "it speaks plain http";
  if (code === "UND_ERR_SOCKET" || code === "ECONNRESET") {
    return "it closed the connection; does its url begin with https://?";
  }
  return "is it running?";
}

/** @throws CliError when nobody answers */
export async function send(
  endpoint: Endpoint,
  path: string,
  options: RequestOptions = {},
): Promise<Response> {
  const headers = new Headers(options.headers);
  if (endpoint.token !== undefined) headers.set("Authorization", `Bearer ${endpoint.token}`);
  const { method = "GET", body } = options;
  const base = endpoint.url.replace(/\/+$/, "");
  try {
    return await fetch(base + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: body as string }),
    });
  } catch (error) {
    const { cause: reason } = error as { cause?: { code?: string; message?: string } };
    // Browsers and fetch never ask a port that is another protocol's (Fetch Standard, 2.9).
    if (reason?.message === "bad port") {
      throw new CliError(`${base} has a port that HTTP clients refuse: use another one`);
    }
    const cause = reason?.code ?? "no connection";
    throw new CliError(`${base} does not answer (${cause}); ${mendFor(cause)}`);
  }
}

interface ProblemBody {
  readonly title?: string;
  readonly detail?: string;
  readonly code?: string;
}

/** One line from a problem document. */
export async function problemLine(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const { title, detail, code } = JSON.parse(text) as ProblemBody;
    return `${title}: ${detail} (${code}, HTTP ${response.status})`;
  } catch {
    return `HTTP ${response.status}`;
  }
}

/** @throws CliError for anything but a 2xx */
export async function sendJson(
  endpoint: Endpoint,
  path: string,
  options: RequestOptions = {},
): Promise<unknown> {
  const response = await send(endpoint, path, options);
  if (!response.ok) throw new CliError(await problemLine(response));
  return response.json();
}

const RETRIES_MAX = 6;

/**
 * For requests that may be repeated: waits and tries again while the cluster is busy or short of
 * replicas, as long as it asks for it.
 */
export async function sendPatiently(
  endpoint: Endpoint,
  path: string,
  options: RequestOptions = {},
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const response = await send(endpoint, path, options);
    const isBusy = [429, 503, 504].includes(response.status);
    if (!isBusy || attempt === RETRIES_MAX) return response;
    await response.arrayBuffer();
    const seconds = Number(response.headers.get("Retry-After") ?? 0);
    const waitMs = Math.min(5000, Math.max(seconds * 1000, 100 * 2 ** attempt));
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
