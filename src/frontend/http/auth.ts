/**
 * The rights of callers. Tokens are compared by digest, all of them, without ending early. Every
 * 401 has the same body, so that nothing is learnt from it.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { CodecError, jsonFrom, readOr } from "../../../core/check.ts";
import { isNamespace } from "../../../core/keys.ts";
import { Problem } from "./problems.ts";
import { sameBytes } from "./sealed-token.ts";

/** A `monitor` sees how the cluster is, and nothing of what is stored. */
export type Role = "read" | "write" | "monitor" | "admin";

interface Token {
  readonly digest: Uint8Array;
  readonly role: Role;
  /** null: all of them. */
  readonly namespaces: ReadonlySet<string> | null;
}

export interface Auth {
  readonly tokens: readonly Token[];
}

/** A deployment without any token. */
export const noTokens: Auth = { tokens: [] };

/** What each role may do: its own part, and those of the roles that it includes. */
const PARTS: Readonly<Record<Role, readonly Role[]>> = {
  read: ["read"],
  write: ["read", "write"],
  monitor: ["monitor"],
  admin: ["read", "write", "monitor", "admin"],
};
const encoder = new TextEncoder();
const isRole = (value: unknown): value is Role =>
  typeof value === "string" && Object.hasOwn(PARTS, value);

const isNamespaceText = (value: unknown): boolean =>
  typeof value === "string" && isNamespace(value);
/**
 * What can stand in an Authorization header; a token that cannot be sent would lock its owner out.
 */
const SENDABLE = /^[\x21-\x7e]+$/;
/** Fewer can be tried one after the other. A good token is random and much longer. */
const TOKEN_CHARS_MIN = 8;

function parseToken(item: unknown, index: number): Token {
  const where = `tokens[${index}]`;
  if (typeof item !== "object" || item === null)
    throw new CodecError(`${where} must be an object.`);
  const { token, role, namespaces, ...rest } = item as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw new CodecError(`${where} has an unknown member ${JSON.stringify(unknown)}.`);
  if (typeof token !== "string" || !SENDABLE.test(token)) {
    throw new CodecError(
      `${where}.token must be a text of visible ASCII characters, without spaces.`,
    );
  }
  if (token.length < TOKEN_CHARS_MIN) {
    throw new CodecError(
      `${where}.token has fewer than ${TOKEN_CHARS_MIN} characters: take a long random one.`,
    );
  }
  if (!isRole(role))
    throw new CodecError(`${where}.role must be "read", "write", "monitor" or "admin".`);
  const digest = sha256(encoder.encode(token));
  if (namespaces === undefined || namespaces === null) return { digest, role, namespaces: null };
  if (role === "monitor") {
    throw new CodecError(
      `${where} is a monitor's, which sees all and no value: leave namespaces out.`,
    );
  }
  const isList = Array.isArray(namespaces) && namespaces.every(isNamespaceText);
  if (!isList) throw new CodecError(`${where}.namespaces must be a list of namespaces.`);
  return { digest, role, namespaces: new Set(namespaces.map(String)) };
}

/**
 * Reads `{"tokens":[{"token","role","namespaces"}]}`.
 *
 * @throws CodecError with one sentence that says what to mend
 */
export function parseTokens(text: string): Auth {
  const value = readOr(
    () => jsonFrom(text),
    () => new CodecError("it is not JSON."),
  );
  const list = (value as { tokens?: unknown } | null)?.tokens;
  if (!Array.isArray(list)) throw new CodecError(`it must be an object with a list "tokens".`);
  // On loopback a deployment without tokens is open: removing the last one must not lead there.
  if (list.length === 0)
    throw new CodecError(`"tokens" lists none; to have none at all, give no tokens.`);
  const tokens: Token[] = [];
  for (const [i, item] of list.entries()) {
    const token = parseToken(item, i);
    const other = tokens.findIndex(({ digest }) => sameBytes(digest, token.digest));
    if (other >= 0) {
      const mend = "list each once, or it has two roles";
      throw new CodecError(`tokens[${i}].token is the same as tokens[${other}].token: ${mend}.`);
    }
    tokens.push(token);
  }
  return { tokens };
}

function tokenOf(auth: Auth, header: string | null): Token | null {
  const given = header === null ? null : /^Bearer +([^\s]+) *$/i.exec(header)?.[1];
  if (given === undefined || given === null) return null;
  const digest = sha256(encoder.encode(given));
  let found: Token | null = null;
  for (const token of auth.tokens) if (sameBytes(token.digest, digest)) found = token;
  return found;
}

/** What a request's caller may do, whatever it asks for. */
export type Grant = Pick<Token, "role" | "namespaces">;

const everything: Grant = { role: "admin", namespaces: null };

/**
 * Finds out who is calling.
 *
 * @param isOpen the frontend listens on loopback only: without any token, everybody may do all
 * @throws Problem `unauthorized`
 */
export function authenticate(auth: Auth, authorization: string | null, isOpen: boolean): Grant {
  if (auth.tokens.length === 0 && isOpen) return everything;
  const token = tokenOf(auth, authorization);
  if (token !== null) return token;
  throw new Problem("unauthorized", "Send a valid token: Authorization: Bearer TOKEN.");
}

/** Stands for "whatever namespaces the token has": the answer shows no others. */
export const OWN_NAMESPACES = "*";

export interface Access {
  readonly role: Role;
  /** null: it is about something that belongs to no namespace. */
  readonly namespace: string | null;
  /** It shows neither values nor keys: monitors may see it as well. */
  readonly showsNoData?: boolean;
}

/** @throws Problem `forbidden` */
export function requireAccess(grant: Grant, access: Access): void {
  const { role, namespace, showsNoData = false } = access;
  const { namespaces } = grant;
  const isHere =
    namespaces === null ||
    namespace === OWN_NAMESPACES ||
    (namespace !== null && namespaces.has(namespace));
  const parts = PARTS[grant.role];
  if ((parts.includes(role) || (showsNoData && parts.includes("monitor"))) && isHere) return;
  const place = namespace === null ? "the cluster" : "this namespace";
  throw new Problem("forbidden", `The token does not give the right to ${role} on ${place}.`);
}
