/** Where a process listens: at a url, or where `--listen` says, as behind a translated address. */
import { createServer, isIP, type Server } from "node:net";
import { isLoopback } from "../identity/cluster-secret.ts";
import { ConfigError } from "../process/config-error.ts";

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };
export const portOf = (url: URL): number =>
  Number(url.port === "" ? DEFAULT_PORTS[url.protocol] : url.port);

export interface ListenAddress {
  /** undefined: all addresses of the machine. */
  readonly host: string | undefined;
  readonly port: number;
}

const bare = (host: string): string => host.replace(/^\[(.*)\]$/, "$1");
const HOST_AND_PORT = /^(\*|\[[^\]]*\]|[^:[\]]+)(?::([0-9]{1,5}))?$/;

/**
 * @param listen an address (an IPv6 one in brackets where a port follows), or `*` for all of them;
 *   the port is the url's unless this names another
 * @throws ConfigError with one line for anything else
 */
export function listenAddress(url: URL, listen?: string): ListenAddress {
  if (listen === undefined) return { host: bare(url.hostname), port: portOf(url) };
  if (isIP(listen) === 6) return { host: listen, port: portOf(url) };
  const [, text = "", digits] = HOST_AND_PORT.exec(listen) ?? [];
  const host = bare(text);
  const port = digits === undefined ? portOf(url) : Number(digits);
  if ((host === "*" || isIP(host) !== 0) && port > 0 && port <= 65_535) {
    return { host: host === "*" ? undefined : host, port };
  }
  const takes = "takes an address of this machine or *, and a port where it is another one";
  throw new ConfigError(`--listen ${takes}, as 0.0.0.0, [::]:7100 or *: "${listen}" is none`);
}

/** Whether no other machine can reach what listens there. */
export const isOnLoopback = ({ host }: ListenAddress): boolean =>
  host !== undefined && isLoopback(`http://${isIP(host) === 6 ? `[${host}]` : host}`);

/** Resolves when it listens. @throws the system's error */
export function listenAt(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** Why that did not work, in words. */
export const reasonOf = ({ code }: NodeJS.ErrnoException): string =>
  code === "EADDRINUSE" ? "the port is taken" : String(code);

/** Whether a port of loopback is free now. @throws Error with one line that names the flag */
export function refuseTakenPort(port: number, flag: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code === "EADDRINUSE" ? "is taken" : `cannot be used (${error.code})`;
      reject(new Error(`port ${port} ${reason}; choose another with ${flag}`));
    });
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve()));
  });
}
