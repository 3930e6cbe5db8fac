/** Many keys of the Workers KV façade in one request: listed, written, read, deleted. */
import { BATCH_OPS_MAX, LIST_KEYS_MAX } from "../../../core/limits.ts";
import { AnswerBudget } from "../http/answer-budget.ts";
import { inParallel } from "../http/at-once.ts";
import { checkMetadata } from "../http/body.ts";
import { responseOf } from "../http/exchange.ts";
import { readJson } from "../http/json-body.ts";
import { checkKey } from "../http/key-path.ts";
import { internalProblem, Problem } from "../http/problems.ts";
import { envelope, kvProblemAnswer } from "./kv-envelope.ts";
import { type KvStore, type KvValue, secondsOf } from "./kv-store.ts";
import { contentOf, kvText, metadataIn } from "./kv-values.ts";

/** As with Cloudflare. */
const BULK_KEYS_MAX = 10_000;
/** A body is parsed, or made, as a whole: a Worker's 128 MB would not hold the copies of more. */
export const BULK_BYTES_MAX = 32 * 1024 * 1024;

type Fields = Readonly<Record<string, unknown>>;
const invalid = (detail: string): Problem => new Problem("invalid-request", detail);

/** `GET …/keys`. @throws Problem */
export async function answerKeys(store: KvStore, query: URLSearchParams): Promise<Response> {
  const limit = Number(query.get("limit") ?? LIST_KEYS_MAX);
  const prefix = query.get("prefix") ?? "";
  const page = await store.list({ prefix, limit, cursor: query.get("cursor") ?? "" });
  const result = page.keys.map(({ name, expiresAt, metadata }) => ({
    name,
    ...(expiresAt === 0 ? {} : { expiration: secondsOf(expiresAt) }),
    ...(metadata === null ? {} : { metadata: JSON.parse(metadata) as unknown }),
  }));
  const { cursor } = page;
  // Which of the two places is read depends on the version of Cloudflare's SDK.
  return envelope(result, { count: result.length, cursor, cursors: { after: cursor } });
}

function listOf(body: unknown, what: string, countMax: number): readonly unknown[] {
  if (!Array.isArray(body)) throw invalid(`The body must be a list of ${what}.`);
  if (body.length <= countMax) return body;
  const extras = { limit: countMax };
  throw new Problem("invalid-request", `At most ${countMax} keys at once.`, { extras });
}

function keyOf(value: unknown): string {
  if (typeof value === "string") return checkKey(value);
  throw new Problem("invalid-key", "A key is a text.");
}

interface Put {
  readonly key: string;
  run(): Promise<void>;
}

function bytesOf({ value, base64 }: Fields): Uint8Array {
  if (typeof value !== "string") throw invalid(`A pair has a "value", which is a text.`);
  if (base64 !== true) return new TextEncoder().encode(value);
  try {
    return Uint8Array.from(atob(value), (char) => char.charCodeAt(0));
  } catch {
    throw invalid(`A "value" with "base64": true must be base64.`);
  }
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null;

function secondsIn(fields: Fields, option: string): number | null {
  const value = fields[option];
  if (isAbsent(value)) return null;
  if (typeof value === "number") return value;
  const extras = { option };
  throw new Problem("invalid-option", `${option} must be a number of seconds.`, { extras });
}

function putOf(store: KvStore, item: unknown): Put {
  if (typeof item !== "object" || item === null) throw invalid("A pair is an object.");
  const fields = item as Fields;
  const key = keyOf(fields["key"]);
  const ttl = secondsIn(fields, "expiration_ttl");
  const ttlMs = store.ttlMsOf({ ttl, at: secondsIn(fields, "expiration") });
  const { metadata } = fields;
  const json = isAbsent(metadata) ? null : checkMetadata(JSON.stringify(metadata));
  const content = contentOf(bytesOf(fields), json);
  const { maxValueBytes } = store.settings;
  if (content.value.length > maxValueBytes) {
    const extras = { limit: maxValueBytes };
    throw new Problem("value-too-large", `A value has at most ${maxValueBytes} bytes.`, { extras });
  }
  return { key, run: () => store.put(key, content, ttlMs) };
}

/**
 * Reports success only when it holds for every key: clients look at nothing else. Otherwise the
 * keys that must be sent again are named beside the first problem.
 */
async function runAll(writes: readonly Put[]): Promise<Response> {
  // Of one key the last one counts; two at once would become siblings.
  const last = [...new Map(writes.map((write) => [write.key, write])).values()];
  const problems = await inParallel(last, async ({ run }) => {
    try {
      await run();
      return null;
    } catch (error) {
      return error instanceof Problem ? error : internalProblem(error, true);
    }
  });
  const failed = last.filter((_, i) => problems[i] !== null).map(({ key }) => key);
  const result = {
    successful_key_count: last.length - failed.length,
    unsuccessful_keys: failed,
  };
  const first = problems.find((problem) => problem !== null);
  if (first === undefined || first === null) return envelope(result);
  return responseOf(kvProblemAnswer(first, false, result));
}

/** `PUT …/bulk`: nothing is written when one of the pairs is malformed. @throws Problem */
export async function bulkPut(store: KvStore, request: Request): Promise<Response> {
  const pairs = listOf(await readJson(request, BULK_BYTES_MAX), "pairs", BULK_KEYS_MAX);
  return runAll(pairs.map((item) => putOf(store, item)));
}

/** `POST …/bulk/delete` and `DELETE …/bulk`. @throws Problem */
export async function bulkDelete(store: KvStore, request: Request): Promise<Response> {
  const keys = listOf(await readJson(request), "keys", BULK_KEYS_MAX).map(keyOf);
  return runAll(keys.map((key) => ({ key, run: () => store.delete(key) })));
}

/**
 * Many values at once, by key; null for what is not there. How much of them is held is bounded as
 * for puts.
 *
 * @param describe what the answer says of a value
 * @throws Problem
 */
export async function readMany<Described>(
  store: KvStore,
  keys: Iterable<string>,
  describe: (found: KvValue, key: string) => Described,
): Promise<Map<string, Described | null>> {
  const names = [...new Set(keys)];
  const budget = new AnswerBudget(BULK_BYTES_MAX);
  const results = await store.getMany(names, BULK_BYTES_MAX, (found, name) => {
    if (found === null) return null;
    budget.take(found.content.value.length);
    return describe(found, name);
  });
  return new Map(names.map((name, i) => [name, results[i] ?? null]));
}

/** `POST …/bulk/get` with `{"keys","type","withMetadata"}`. @throws Problem */
export async function bulkGet(store: KvStore, request: Request): Promise<Response> {
  const body = (await readJson(request)) as Fields | null;
  const { keys: names, type = "text", withMetadata = false } = body ?? {};
  const keys = listOf(names, "keys", BATCH_OPS_MAX).map(keyOf);
  if (type !== "text" && type !== "json") throw invalid(`"type" must be "text" or "json".`);
  const shown = (bytes: Uint8Array, key: string): unknown => {
    const text = kvText(bytes);
    if (type === "text") return text;
    try {
      return JSON.parse(text);
    } catch {
      throw invalid(`The value of ${JSON.stringify(key)} is not JSON. Ask for "type": "text".`);
    }
  };
  const values = await readMany(store, keys, ({ content, expiresAt }, key) => {
    const value = shown(content.value, key);
    if (withMetadata !== true) return value;
    const expiration = expiresAt === 0 ? {} : { expiration: secondsOf(expiresAt) };
    return { value, metadata: metadataIn(content), ...expiration };
  });
  return envelope({ values: Object.fromEntries(values) });
}
