/**
 * How two nodes come to trust a connection. Both know the cluster's secret; each proves it over the
 * other's fresh nonce, so a recorded handshake is worth nothing. Each proof names the cluster, both
 * ends and who says it: it cannot be sent back, or to a third node.
 *
 *     → GET /internal, Upgrade, from, to, cluster, nonce A, proof(hello, A)
 *     ← 101, nonce B, proof(server, A, B)
 *     → first frame: proof(client, A, B)
 *
 * The hello and its answer also name the protocols that each speaks, from which to which, and the
 * program's version (see core/version.ts). A caller that speaks none that the callee does gets a
 * 426 with the callee's own, in place of the 101, once it has proven the hello. The proofs do not
 * cover the versions: with TLS nobody can change a header on its way, and without it frames are not
 * protected either.
 *
 * While one secret is replaced by another, the hello has a proof for each that the caller takes.
 * The callee picks one that it takes too, and both go on with that.
 *
 * The hello's proof trusts nobody, since anybody who has seen it can send it again. It only hides
 * the protocol: to everybody who does not know the secret, the route does not exist.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { isVersionText, type Speech, unnamedSpeech } from "../../../core/version.ts";
import { hmac } from "./secrets.ts";

export const PROTOCOL = "starling-internal/1";
export const PATH = "/internal";
export const PROOF_BYTES = 32;
/** How many secrets may be valid at once: one, or two while one replaces the other. */
export const SECRETS_COUNT_MAX = 2;

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
  /** A proof for each secret that the caller takes: two while one replaces the other. */
  readonly given: readonly Uint8Array[];
  readonly speech: Speech;
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

const PROTOCOL_TEXT = /^[1-9][0-9]{0,5}$/;

/** What the other side says it speaks; `unnamedSpeech` when it does not say. */
export function readSpeech(headers: IncomingHttpHeaders): Speech {
  const protocol = text(headers["starling-protocol"]);
  const least = text(headers["starling-protocol-least"]);
  const version = text(headers["starling-version"]);
  const isNamed = PROTOCOL_TEXT.test(protocol) && PROTOCOL_TEXT.test(least);
  if (!isNamed || !isVersionText(version)) return unnamedSpeech;
  return { protocol: Number(protocol), least: Number(least), version };
}

const speechHeaders = ({ protocol, least, version }: Speech): Record<string, string> => ({
  "Starling-Protocol": String(protocol),
  "Starling-Protocol-Least": String(least),
  "Starling-Version": version,
});

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
  const given = text(headers["starling-proof"]).split(",", SECRETS_COUNT_MAX).map(readProof);
  return { ends, nonce, given, speech: readSpeech(headers) };
}

const helloProof = (key: Uint8Array, ends: Ends, nonce: string): Buffer =>
  proof(key, "hello", { ends, nonces: { client: nonce, server: "" } });

/**
 * The key that a hello's caller knows, or the caller that it was recorded from; null: none of
 * these.
 */
export function provenKey(
  keys: readonly Uint8Array[],
  { ends, nonce, given }: Hello,
): Uint8Array | null {
  const isProven = (key: Uint8Array): boolean => {
    const expected = helloProof(key, ends, nonce);
    return given.some((one) => isProof(one, expected));
  };
  return keys.find(isProven) ?? null;
}

export const helloHeaders = (
  keys: readonly Uint8Array[],
  ends: Ends,
  { nonce, speech }: { readonly nonce: string; readonly speech: Speech },
): Record<string, string> => ({
  Connection: "Upgrade",
  Upgrade: PROTOCOL,
  "Starling-Cluster": ends.cluster,
  "Starling-From": ends.from,
  "Starling-To": ends.to,
  ...speechHeaders(speech),
  "Starling-Nonce": nonce,
  "Starling-Proof": keys.map((key) => helloProof(key, ends, nonce).toString("base64url")).join(","),
});

const headText = (status: string, headers: Readonly<Record<string, string>>): string =>
  [`HTTP/1.1 ${status}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)]
    .map((line) => `${line}\r\n`)
    .join("")
    .concat("\r\n");

/** The answer to a proven hello, as it goes out on the socket. */
export function helloAnswer(
  key: Uint8Array,
  of: { readonly ends: Ends; readonly nonces: Nonces },
  speech: Speech,
): string {
  return headText("101 Switching Protocols", {
    Connection: "Upgrade",
    Upgrade: PROTOCOL,
    ...speechHeaders(speech),
    "Starling-Nonce": of.nonces.server,
    "Starling-Proof": proof(key, "server", of).toString("base64url"),
  });
}

/** The answer to a proven hello of a node that speaks too old or too new a protocol. */
export const versionRefusal = (speech: Speech): string =>
  headText("426 Upgrade Required", {
    Connection: "close",
    Upgrade: PROTOCOL,
    ...speechHeaders(speech),
    "Content-Length": "0",
  });

/** The status of that answer: only a hello gets it. */
export const VERSION_REFUSED = 426;
