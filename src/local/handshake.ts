/**
 * How two nodes come to trust a connection. Both know the cluster's secret; each proves it over the
 * other's fresh nonce, so a recorded handshake is worth nothing. The proof names the cluster, both
 * ends and who says it: it cannot be sent back, or to a third node.
 *
 *     → GET /internal, Upgrade, from, to, cluster, nonce A
 *     ← 101, nonce B, proof(server, A, B)
 *     → first frame: proof(client, A, B)
 *
 * To anybody who does not name the cluster and a member of it, the route does not exist.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { hmac } from "./secrets.ts";

export const PROTOCOL = "starling-internal/1";

export interface Ends {
  readonly cluster: string;
  readonly from: string;
  readonly to: string;
}

export interface Nonces {
  readonly client: string;
  readonly server: string;
}

export const newNonce = (): string => randomBytes(24).toString("base64url");

export function proof(
  key: Uint8Array,
  role: "client" | "server",
  of: { readonly ends: Ends; readonly nonces: Nonces },
): Buffer {
  const { cluster, from, to } = of.ends;
  return hmac(key, PROTOCOL, role, cluster, from, to, of.nonces.client, of.nonces.server);
}

export const isProof = (given: Uint8Array, expected: Uint8Array): boolean =>
  given.length === expected.length && timingSafeEqual(given, expected);

const text = (value: string | string[] | undefined): string =>
  typeof value === "string" ? value : "";

/** What the caller says of itself, or null when it does not speak this protocol. */
export function readHello(headers: IncomingHttpHeaders): { ends: Ends; nonce: string } | null {
  if (text(headers.upgrade).toLowerCase() !== PROTOCOL) return null;
  const ends = {
    cluster: text(headers["starling-cluster"]),
    from: text(headers["starling-from"]),
    to: text(headers["starling-to"]),
  };
  const nonce = text(headers["starling-nonce"]);
  return nonce.length < 16 || nonce.length > 64 ? null : { ends, nonce };
}

export const helloHeaders = (ends: Ends, nonce: string): Record<string, string> => ({
  Connection: "Upgrade",
  Upgrade: PROTOCOL,
  "Starling-Cluster": ends.cluster,
  "Starling-From": ends.from,
  "Starling-To": ends.to,
  "Starling-Nonce": nonce,
});
