/**
 * What a backup is made of: JSON lines, each with its own checksum, so that a line can be believed
 * before the next one is read. docs/operations.md describes them.
 *
 *     {"starling":"backup","format":1,"cluster":"local","at":"…","program":"1.2.3","crc32":"…"}
 *     {"site":{…},"crc32":"…"}
 *     {"namespace":"demo","created":true,"settings":{…},"crc32":"…"}
 *     {"namespace":"demo","key":"a","context":[…],"versions":[{…}],"retries":[…],"crc32":"…"}
 *     {"purge":{"namespace":"demo","tag":"old","until":123},"crc32":"…"}
 *     {"end":true,"namespaces":1,"keys":1,"sha256":"…","crc32":"…"}
 */
import { crc32 } from "node:zlib";
import { decode, encode } from "../../core/codec.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { storeKey } from "../../core/keys.ts";
import type { KnownPurge, PurgeIndex } from "../../core/purges.ts";
import { millisOfHlc } from "../../core/time.ts";
import { CliError } from "./output.ts";

export const FORMAT = 1;

export interface HeadLine {
  readonly starling: "backup";
  readonly format: number;
  readonly cluster: string;
  /** When it was begun. */
  readonly at: string;
  readonly program: string;
}

export interface SiteLine {
  readonly site: Readonly<Record<string, unknown>> & { readonly name: string };
}

export interface NamespaceLine {
  readonly namespace: string;
  /** Whether somebody created it; if not, it has the deployment's defaults, whatever they are. */
  readonly created: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** It applies to every line of its namespace, before and after it. */
export interface PurgeLine {
  readonly purge: KnownPurge;
}

interface Version {
  readonly dot: readonly [actor: string, counter: number];
  /** Hybrid: what orders siblings. */
  readonly time: number;
  /** The same for people. */
  readonly written: string;
  readonly op: string;
  /** In ms since 1970; 0 for never. */
  readonly expiresAt: number;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly contentDisposition?: string;
  /** JSON text, as it was sent. */
  readonly metadata?: string;
  readonly tags?: readonly string[];
  /** `max-age` and `s-maxage`, as the writer gave them. */
  readonly caching?: readonly number[];
  /** Base64. Absent: deleted, or expired. */
  readonly value?: string;
}

export interface KeyLine {
  readonly namespace: string;
  readonly key: string;
  readonly context: unknown;
  readonly versions: readonly Version[];
  readonly retries?: readonly unknown[];
}

export interface EndLine {
  readonly end: true;
  readonly namespaces: number;
  readonly keys: number;
  /** Of all bytes before this line. */
  readonly sha256: string;
}

export type Line = HeadLine | SiteLine | NamespaceLine | KeyLine | PurgeLine | EndLine;

const SUM = /^(.*),"crc32":"([0-9a-f]{8})"\}$/s;
const sumOf = (text: string): string => crc32(text).toString(16).padStart(8, "0");

/** The line's text with a checksum, taken of the text without it, and a line break. */
export function textOf(line: Line): string {
  const text = JSON.stringify(line);
  return `${text.slice(0, -1)},"crc32":"${sumOf(text)}"}\n`;
}

/** null for what is damaged. */
export function lineFrom(text: string): Line | null {
  const [, rest = null, sum] = SUM.exec(text) ?? [];
  if (rest === null || sumOf(`${rest}}`) !== sum) return null;
  return JSON.parse(`${rest}}`) as Line;
}

/** The fields of a content in the order of `core/entry-codec.ts`, but for the value. */
const HEADERS = [
  "contentType",
  "contentEncoding",
  "contentLanguage",
  "contentDisposition",
  "metadata",
] as const;

function versionOf(list: readonly unknown[]): Version {
  const [actor, counter, time, op, expiresAt, content] = list as [
    ...[string, number, number, string, number, readonly unknown[] | null],
  ];
  const written = new Date(millisOfHlc(time)).toISOString();
  const version = { dot: [actor, counter] as const, time, written, op, expiresAt };
  if (content === null) return version;
  const named = HEADERS.map((name, i) => [name, content[i]] as const);
  const [tags, value, ...caching] = content.slice(HEADERS.length) as [
    ...[readonly string[], Uint8Array, ...number[]],
  ];
  return {
    ...version,
    ...Object.fromEntries(named.filter(([, text]) => text !== null)),
    ...(tags.length === 0 ? {} : { tags }),
    ...(caching.length === 0 ? {} : { caching }),
    value: Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64"),
  };
}

function versionToList(version: Version): readonly unknown[] {
  const { dot, time, op, expiresAt, tags = [], caching = [], value } = version;
  const head = [...dot, time, op, expiresAt];
  if (value === undefined) return [...head, null];
  const headers = HEADERS.map((name) => version[name] ?? null);
  return [...head, [...headers, tags, new Uint8Array(Buffer.from(value, "base64")), ...caching]];
}

/** @param bytes an entry as the cluster gives it */
export function keyLine(namespace: string, key: string, bytes: Uint8Array): KeyLine {
  const [context, siblings, retries] = decode(bytes) as [
    ...[unknown, readonly (readonly unknown[])[], readonly unknown[]],
  ];
  const versions = siblings.map(versionOf);
  return { namespace, key, context, versions, ...(retries.length === 0 ? {} : { retries }) };
}

export interface BackedUp {
  /** As the cluster takes it. */
  readonly entry: Uint8Array;
  /** Whether a purge ended anything of it. */
  readonly isPurged: boolean;
}

/**
 * The entry, as a member that knows the purges sees it.
 *
 * @throws CliError when the line describes no entry
 */
export function entryOf(line: KeyLine, purges: PurgeIndex): BackedUp {
  const { namespace, key, context, versions, retries = [] } = line;
  try {
    const bytes = encode([context, versions.map(versionToList), retries, null]);
    const { entry } = decodeEntry(bytes);
    const left = purges.apply(storeKey(namespace, key), entry);
    if (left === entry) return { entry: new Uint8Array(bytes), isPurged: false };
    return { entry: encodeEntry(left, null), isPurged: true };
  } catch (error) {
    const reason = error instanceof Error ? error.message : "malformed";
    throw new CliError(`${JSON.stringify(key)} is no key of a backup: ${reason}`);
  }
}
