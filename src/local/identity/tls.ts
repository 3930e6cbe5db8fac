/**
 * TLS of a Node host. Clients see an ordinary https server. Nodes see each other's certificates
 * (mutual TLS, RFC 8446, 4.3.2): the dialling side checks that the certificate is valid for the
 * host that the ring names for the peer, the accepting side that it is valid for the host of the
 * member that the caller says it is. The handshake with the cluster's secret comes on top, so that
 * neither a stolen certificate nor a stolen secret is enough.
 *
 * A client is asked for a certificate too, because it is not known yet what it wants; it may have
 * none.
 */
import type { Server as PlainServer } from "node:http";
import { Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import { checkServerIdentity, type SecureContextOptions, TLSSocket } from "node:tls";
import { assert } from "../../../core/assert.ts";
import { ConfigError } from "../process/config-error.ts";
import { type Certificates, readCertificates, type TlsFiles } from "./certificates.ts";

/** What the connections between nodes need of TLS. */
export interface PeerTls {
  /** For a connection that this node makes. */
  dialOptions(): SecureContextOptions;
  /** Whether the other end has a certificate of the cluster's CA for the host of that url. */
  isPeer(socket: Socket, url: string | null): boolean;
}

/** The host of a url as certificates name it. @throws TypeError when the url is none */
const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$/g, "");

/** Whether a peer's certificate is of the host of that url. */
function isOfHost(socket: TLSSocket, url: string): boolean {
  try {
    return checkServerIdentity(hostOf(url), socket.getPeerCertificate()) === undefined;
  } catch {
    // A ring may hold malformed urls, and Node throws for names that no certificate may have.
    return false;
  }
}

export class NodeTls implements PeerTls {
  readonly #files: TlsFiles;
  readonly #host: string | null;
  #now: Certificates;

  private constructor(files: TlsFiles, host: string | null, now: Certificates) {
    this.#files = files;
    this.#host = host;
    this.#now = now;
  }

  /**
   * @param url null before the node knows where it listens: enough to ask others
   * @throws ConfigError when the files cannot serve the member of that url
   */
  static async read(files: TlsFiles, url: string | null): Promise<NodeTls> {
    const host = url === null ? null : hostOf(url);
    return new NodeTls(files, host, await readCertificates(files, host, Date.now()));
  }

  /** When the node's own certificate ends, as an ISO date. */
  get endsAt(): string {
    return new Date(this.#now.endsAt).toISOString();
  }

  contextOptions(): SecureContextOptions {
    const { cert, key, ca } = this.#now;
    return { cert, key, ...(ca === undefined ? {} : { ca }), minVersion: "TLSv1.2" };
  }

  dialOptions(): SecureContextOptions {
    return { ...this.contextOptions(), minVersion: "TLSv1.3" };
  }

  isPeer(socket: Socket, url: string | null): boolean {
    if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
    return url === null || isOfHost(socket, url);
  }

  /**
   * Reads the files again, for the connections from now on; those that are open stay.
   *
   * @throws ConfigError when they cannot serve; the old ones then go on
   */
  async reload(server: PlainServer | TlsServer): Promise<void> {
    this.#now = await readCertificates(this.#files, this.#host, Date.now());
    this.renew(server);
  }

  /** Has a server take over the certificates that were read last. */
  renew(server: PlainServer | TlsServer): void {
    assert(server instanceof TlsServer, "who has certificates listens with TLS");
    server.setSecureContext(this.contextOptions());
  }
}

interface Member {
  readonly id: string;
  readonly url: string;
}

/**
 * Whether the members' urls and the flags fit together.
 *
 * @throws ConfigError with one line
 */
export function checkSchemes(file: string, members: readonly Member[], hasTls: boolean): void {
  const scheme = hasTls ? "https://" : "http://";
  const other = members.find(({ url }) => !url.startsWith(scheme));
  if (other === undefined) return;
  const mend = hasTls
    ? "with --tls-cert every member's url begins with https://"
    : "give --tls-cert and --tls-key, or make its url http://";
  throw new ConfigError(`${file}: member ${other.id} (${other.url}): ${mend}`);
}
