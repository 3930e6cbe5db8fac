/**
 * `/v1/cluster/entries`: whole entries, with their dots, out of a cluster and into one. Backups and
 * copies are made with it. Both directions speak MessagePack; an entry is the bytes of
 * `core/entry-codec.ts`.
 *
 * - Out: a covering read of the partitions, each key's entry then joined from a read quorum.
 *   Tombstones are among them, entries that guard nothing are not.
 * - In, merged: each entry is joined into what a write quorum of its owners holds, as anti-entropy
 *   would. Twice is as good as once, and what covers a version goes on covering it.
 * - In, written: what lives in an entry is written anew, over all that is there. Siblings stay
 *   siblings.
 */
import { Encoder } from "@msgpack/msgpack";
import { CausalContext } from "../../../core/causal-context.ts";
import { CodecError } from "../../../core/check.ts";
import { decode, encode } from "../../../core/codec.ts";
import { type Entry, liveSiblings, type Sibling } from "../../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../../core/entry-codec.ts";
import { isSpent, withoutEnded } from "../../../core/expiry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { isStoreKey, storeKey } from "../../../core/keys.ts";
import { ENTRIES_BYTES, ENTRIES_BYTES_MAX, ENTRIES_COUNT_MAX } from "../../../core/limits.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Backend } from "../backend/backend.ts";
import { type Reader, ReadRoom } from "../backend/read-room.ts";
import { run } from "../backend/run.ts";
import { inParallel } from "../http/at-once.ts";
import { isMsgpackBomb } from "../http/batch-guard.ts";
import { readBody } from "../http/body.ts";
import { readNamespace } from "../http/key-path.ts";
import { decodeWithTexts } from "../http/msgpack-texts.ts";
import { MSGPACK } from "../http/msgpack-type.ts";
import { Problem, problemOf } from "../http/problems.ts";
import { seal, unseal } from "../http/sealed-token.ts";

/** For one key, in ms: only a backup waits for it. */
const KEY_TIMEOUT_MS = 10_000;
/** Entries in one page unless the request says otherwise, and read at once. */
const PAGE_COUNT = 256;
const READ_AT_ONCE = 16;
const QUERY: ReadonlySet<string> = new Set(["namespace", "cursor", "limit"]);

const encoder = new Encoder();
const invalid = (detail: string): Problem => new Problem("invalid-request", detail);
const purposeOf = (namespace: string): string => `entries ${namespace}`;

interface Page {
  readonly namespace: string;
  readonly after: string;
  readonly limit: number;
}

/** @throws Problem */
function readPage(query: string, hash: KeyedHash): Page {
  const given = new URLSearchParams(query);
  const stranger = [...given.keys()].find((name) => !QUERY.has(name));
  if (stranger !== undefined) {
    const extras = { option: stranger.slice(0, 40) };
    throw new Problem("invalid-option", "It takes namespace, cursor and limit.", { extras });
  }
  const namespace = readNamespace(given.get("namespace") ?? "");
  const text = given.get("limit") ?? String(PAGE_COUNT);
  const limit = Number(text);
  if (!/^[0-9]{1,4}$/.test(text) || limit < 1 || limit > ENTRIES_COUNT_MAX) {
    const extras = { option: "limit", limit: ENTRIES_COUNT_MAX };
    throw new Problem("invalid-option", `limit must be 1 to ${ENTRIES_COUNT_MAX}.`, { extras });
  }
  const cursor = given.get("cursor");
  if (cursor === null) return { namespace, after: "", limit };
  const payload = unseal(hash, purposeOf(namespace), cursor);
  const after = payload === null ? null : decode(payload);
  if (typeof after === "string") return { namespace, after, limit };
  throw new Problem("invalid-cursor", "The cursor is not one of this namespace's entries.");
}

async function readEntry(
  { backend, room }: { readonly backend: Backend; readonly room: ReadRoom },
  key: StoreKey,
): Promise<Uint8Array | null> {
  const options = { r: "quorum", timeoutMs: KEY_TIMEOUT_MS } as const;
  const read = await room.read({ kind: "get", key, options, session: null });
  if (read.kind === "failed") throw problemOf(read.failure, false);
  const now = backend.now();
  if (read.entry.context.isEmpty || isSpent(read.entry, now)) return null;
  return encodeEntry(withoutEnded(read.entry, now), null);
}

const answer = (body: unknown): Response =>
  new Response(encoder.encode(body), { headers: { "Content-Type": MSGPACK } });

/**
 * `{"entries":[{"key","entry"}],"cursor":"…"|null}`. A page ends at `limit` keys, or when it is
 * large; it may be empty before the last one.
 *
 * @throws Problem
 */
export async function answerEntries(
  reader: Reader,
  hash: KeyedHash,
  query: string,
): Promise<Response> {
  const { backend } = reader;
  const { namespace, after, limit } = readPage(query, hash);
  const list = { kind: "list", namespace, prefix: "", after, limit, withDead: true } as const;
  const { keys, complete, cursor: listedUntil } = await run(backend, list, "listed");
  const entries: { key: string; entry: Uint8Array }[] = [];
  let byteCount = 0;
  for (let i = 0; i < keys.length; i += READ_AT_ONCE) {
    const some = keys.slice(i, i + READ_AT_ONCE).map(({ name }) => name);
    const names = some.map((name) => storeKey(namespace, name));
    const room = new ReadRoom(reader);
    await room.reserve(names, Number.POSITIVE_INFINITY);
    const read = await inParallel(names, (key) => readEntry({ backend, room }, key), room.atOnce);
    for (const [j, entry] of read.entries()) {
      if (entry !== null) entries.push({ key: some[j] as string, entry });
      byteCount += entry?.length ?? 0;
    }
    const last = some.at(-1) as string;
    if (byteCount >= ENTRIES_BYTES && i + READ_AT_ONCE < keys.length) {
      return answer({ entries, cursor: seal(hash, purposeOf(namespace), encode(last)) });
    }
  }
  const next = complete ? null : seal(hash, purposeOf(namespace), encode(listedUntil));
  return answer({ entries, cursor: next });
}

interface Brought {
  readonly key: StoreKey;
  readonly bytes: Uint8Array;
  readonly entry: Entry;
}

function broughtFrom(namespace: string, item: unknown): Brought {
  const { key, entry } = (item ?? {}) as { key?: unknown; entry?: unknown };
  const isKey = typeof key === "string" && isStoreKey(`${namespace}\0${key}`);
  if (!isKey) throw invalid(`An entry's "key" must be a key of 1 to 512 bytes.`);
  if (!(entry instanceof Uint8Array)) throw invalid(`An entry has its bytes as "entry".`);
  try {
    const decoded = decodeEntry(entry).entry;
    const bytes = encodeEntry(decoded, null);
    return { key: storeKey(namespace, key), bytes, entry: decoded };
  } catch (error) {
    if (error instanceof CodecError) throw invalid(`${JSON.stringify(key)}: ${error.message}`);
    throw error;
  }
}

interface Body {
  readonly mode: "merge" | "overwrite";
  readonly entries: readonly Brought[];
}

/** @throws Problem */
async function readEntries(request: Request): Promise<Body> {
  const bytes = await readBody(request, ENTRIES_BYTES_MAX);
  if (isMsgpackBomb(bytes)) throw invalid("The body nests too deeply or has too many values.");
  let body: unknown;
  try {
    body = decodeWithTexts(bytes, { maxExtLength: 0 });
  } catch {
    throw invalid(`The body must be MessagePack: {"namespace","entries":[{"key","entry"}]}.`);
  }
  const { namespace, entries, mode = "merge", ...rest } = (body ?? {}) as Record<string, unknown>;
  const [stranger] = Object.keys(rest);
  if (stranger !== undefined) throw invalid(`Unknown member ${JSON.stringify(stranger)}.`);
  if (typeof namespace !== "string" || !Array.isArray(entries)) {
    throw invalid(`The body must have a text "namespace" and a list "entries".`);
  }
  readNamespace(namespace);
  if (mode !== "merge" && mode !== "overwrite") {
    throw invalid(`"mode" must be "merge" or "overwrite".`);
  }
  if (entries.length > ENTRIES_COUNT_MAX) {
    const extras = { limit: ENTRIES_COUNT_MAX };
    throw new Problem("invalid-request", `At most ${ENTRIES_COUNT_MAX} entries.`, { extras });
  }
  return { mode, entries: entries.map((item: unknown) => broughtFrom(namespace, item)) };
}

/**
 * The first of them covers all that is there, and the others nothing: so they are siblings again.
 */
async function overwrite(backend: Backend, { key, entry }: Brought): Promise<boolean> {
  const options = { w: "quorum", timeoutMs: KEY_TIMEOUT_MS } as const;
  const write = (sibling: Sibling, context: CausalContext | null): Promise<unknown> => {
    const { content, expiresAt } = sibling;
    const ttlMs = expiresAt === 0 ? 0 : Math.max(1, Math.floor(expiresAt - backend.now()));
    const rest = { options, content, ttlMs, context, precondition: null };
    return run(backend, { kind: "write", key, ...rest });
  };
  const [first, ...others] = [...liveSiblings(entry, backend.now())].reverse();
  if (first === undefined) return false;
  await write(first, null);
  for (const sibling of others) await write(sibling, CausalContext.empty);
  return true;
}

/**
 * Answers `{"keys","known"}` of a merge: how many entries there were, and for how many of them
 * something was held before; `{"keys","written"}` for entries that were written anew. The first
 * failure is the answer, as a problem; the other entries may have been taken.
 *
 * @throws Problem
 */
export async function takeEntries(backend: Backend, request: Request): Promise<Response> {
  const { mode, entries } = await readEntries(request);
  const keys = entries.length;
  if (mode === "overwrite") {
    const results = await inParallel(entries, (brought) => overwrite(backend, brought));
    return Response.json({ keys, written: results.filter(Boolean).length });
  }
  const options = { w: "quorum", dw: "quorum", timeoutMs: KEY_TIMEOUT_MS } as const;
  const results = await inParallel(entries, ({ key, bytes }) =>
    run(backend, { kind: "merge", key, options, entry: bytes }),
  );
  return Response.json({ keys, known: results.filter(({ wasKnown }) => wasKnown).length });
}
