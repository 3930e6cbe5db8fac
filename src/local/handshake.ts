/**
 * How two nodes come to trust a connection. Both know the cluster's secret; each proves it over the
 * other's fresh nonce, so a recorded handshake is worth nothing. Each proof names the cluster, both
 * ends and who says it: it cannot be sent back, or to a third node.
 *
 *     → GET /internal, Upgrade, from, to, cluster, nonce A, proof(hello, A)
 *     ← 101, nonce B, proof(server, A, B)
 *     → first frame: proof(client, A, B)
 *
 * The hello's proof trusts nobody, since it can be sent again by whoever has seen it. It only hides
 * the protocol: to everybody who does not know the secret, the route does not exist.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { hmac } from "./secrets.ts";

export const PROTOCOL = "starling-internal/1";
export const PATH = "/internal";
export const PROOF_BYTES = 32;

export interface Ends {
  readonly cluster: string;
  readonly from: string;
  readonly to: string;
}

export interface Nonces {
  readonly client: string;
  /** Empty in the hello, which comes before it. */
  readonly server: string;
}

export interface Hello {
  readonly ends: Ends;
  readonly nonce: string;
  readonly given: Uint8Array;
}

export const newNonce = (): string => randomBytes(24).toString("base64url");

export function proof(
  key: Uint8Array,
  role: "hello" | "server" | "client",
  of: { readonly ends: Ends; readonly nonces: Nonces },
): Buffer {
  const { cluster, from, to } = of.ends;
  return hmac(key, PROTOCOL, role, cluster, from, to, of.nonces.client, of.nonces.server);
}

export const isProof = (given: Uint8Array, expected: Uint8Array): boolean =>
  given.length === expected.length && timingSafeEqual(given, expected);

const text = (value: string | string[] | undefined): string =>
  typeof value === "string" ? value : "";

/** A proof as a header carries it. */
export const readProof = (value: string | string[] | undefined): Uint8Array =>
  Buffer.from(text(value), "base64url");

/** What the caller says of itself, or null when it does not speak this protocol. */
export function readHello({ method, url, headers }: IncomingMessage): Hello | null {
  if (method !== "GET" || url !== PATH) return null;
  if (text(headers.upgrade).toLowerCase() !== PROTOCOL) return null;
  const ends = {
    cluster: text(headers["starling-cluster"]),
    from: text(headers["starling-from"]),
    to: text(headers["starling-to"]),
  };
  const nonce = text(headers["starling-nonce"]);
  if (nonce.length < 16 || nonce.length > 64) return null;
  return { ends, nonce, given: readProof(headers["starling-proof"]) };
}

/** Whether a hello comes from somebody who knows the secret, or has recorded one who does. */
export const isProvenHello = (key: Uint8Array, { ends, nonce, given }: Hello): boolean =>
  isProof(given, proof(key, "hello", { ends, nonces: { client: nonce, server: "" } }));

export const helloHeaders = (
  key: Uint8Array,
  ends: Ends,
  nonce: string,
): Record<string, string> => ({
  Connection: "Upgrade",
  Upgrade: PROTOCOL,
  "Starling-Cluster": ends.cluster,
  "Starling-From": ends.from,
  "Starling-To": ends.to,
  "Starling-Nonce": nonce,
  "Starling-Proof": proof(key, "hello", { ends, nonces: { client: nonce, server: "" } }).toString(
    "base64url",
  ),
});

/** The answer to a proven hello, as it goes out on the socket. */
export function helloAnswer(key: Uint8Array, ends: Ends, nonces: Nonces): string {
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Connection: Upgrade",
    `Upgrade: ${PROTOCOL}`,
    `Starling-Nonce: ${nonces.server}`,
    `Starling-Proof: ${proof(key, "server", { ends, nonces }).toString("base64url")}`,
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}
