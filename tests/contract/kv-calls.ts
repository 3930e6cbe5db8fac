/**
 * Calls of a `KVNamespace`, above all odd ones, and their outcomes as plain text: made to a real
 * one and to ours, so that nobody can tell them apart (tests/worker/kv-differential.test.ts,
 * tests/dropin/workerd.test.ts). Each call finds what the ones before it have stored.
 */

/** Called as from JavaScript: the point is what TypeScript would refuse. */
type Loose = Readonly<
  Record<
    "get" | "getWithMetadata" | "put" | "delete" | "list",
    (...args: readonly unknown[]) => Promise<unknown>
  >
>;

export type KvCall = readonly [name: string, run: (kv: Loose) => Promise<unknown>];

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const SOON = 2_000_000_000;

/** Puts and reads back as text. */
const echo =
  (key: unknown, value: unknown, options?: unknown) =>
  async (kv: Loose): Promise<unknown> => {
    await kv.put(key, value, ...(options === undefined ? [] : [options]));
    return kv.getWithMetadata(key);
  };

const stream = (...chunks: readonly unknown[]): ReadableStream =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

/** All names of a prefix, page by page. */
async function names(kv: Loose, options: object): Promise<unknown> {
  const found: string[][] = [];
  let cursor: unknown;
  do {
    const page = (await kv.list({ ...options, ...(cursor === undefined ? {} : { cursor }) })) as {
      keys: { name: string }[];
      list_complete: boolean;
      cursor?: string;
    };
    found.push(page.keys.map(({ name }) => name));
    cursor = page.list_complete ? undefined : page.cursor;
  } while (cursor !== undefined && found.length < 20);
  return found;
}

const VALUES: readonly KvCall[] = [
  ["a text", echo("v/text", "täxt")],
  ["an empty text", echo("v/empty", "")],
  ["a byte order mark", echo("v/bom", "\ufeffbom")],
  ["a byte order mark in bytes", echo("v/bom2", bytes(0xef, 0xbb, 0xbf, 0x41))],
  [
    "a byte order mark before JSON",
    async (kv) => {
      await kv.put("v/bom3", '\ufeff{"a":1}');
      return kv.get("v/bom3", "json");
    },
  ],
  ["bytes that are no UTF-8", echo("v/bad", bytes(0xff, 0x41, 0xc3))],
  ["half a surrogate pair", echo("v/lone", "a\ud800b")],
  ["a number", echo("v/5", 5)],
  ["a fraction", echo("v/1.5", 1.5)],
  ["NaN", echo("v/nan", Number.NaN)],
  ["a large number", echo("v/1e21", 1e21)],
  ["true", echo("v/true", true)],
  ["false", echo("v/false", false)],
  ["null", echo("v/null", null)],
  ["undefined", echo("v/undefined", undefined)],
  ["no value", (kv) => kv.put("v/none")],
  ["no arguments", (kv) => kv.put()],
  ["an object", echo("v/object", {})],
  ["a list", echo("v/list", [1, 2])],
  ["a date", echo("v/date", new Date(0))],
  ["a bigint", echo("v/bigint", 5n)],
  ["a Map", echo("v/map", new Map())],
  ["a buffer", echo("v/buffer", bytes(65, 66).buffer)],
  ["a view of a part", echo("v/view", bytes(65, 66, 67).subarray(1))],
  ["a DataView", echo("v/dataview", new DataView(bytes(65, 66).buffer))],
  ["a view of longer items", echo("v/u16", Uint16Array.from([0x4241]))],
  ["a stream", (kv) => echo("v/stream", stream(bytes(65), bytes(66)))(kv)],
  ["an empty stream", (kv) => echo("v/stream0", stream())(kv)],
];

const KEYS: readonly KvCall[] = [
  ["a number as key", echo(5, "five")],
  ["true as key", echo(true, "yes")],
  ["null as key", echo(null, "nothing")],
  ["undefined as key", echo(undefined, "nothing")],
  ["an object as key", echo({}, "object")],
  ["a list as key of a put", echo(["k/list"], "list")],
  ["a text with slashes", echo("k/a/b c%?#&+ü", "v")],
  ["a key with a NUL", echo("k/\0", "v")],
  ["an empty key", (kv) => kv.get("")],
  ["put of an empty key", (kv) => kv.put("", "v")],
  ["delete of an empty key", (kv) => kv.delete("")],
  ["a key of 512 bytes", echo("k".repeat(512), "v")],
  ["a key of 513 bytes", (kv) => kv.get("k".repeat(513))],
  ["a dot as key", (kv) => kv.get(".")],
  ["two dots as key", (kv) => kv.get("..")],
  ["get of nothing", (kv) => kv.get()],
  ["get of null", (kv) => kv.get(null)],
  ["get of a number", (kv) => kv.get(5)],
  ["get of a key that is not there", (kv) => kv.get("none")],
  ["delete of a number", (kv) => kv.delete(5)],
  ["get of what was deleted", (kv) => kv.get(5)],
  ["delete of what is not there", (kv) => kv.delete("none")],
  ["delete of nothing", (kv) => kv.delete()],
  ["delete of one in a list", (kv) => kv.delete("none", 0)],
  ["delete with a text beside it", (kv) => kv.delete("none", "text")],
];

const TYPES: readonly KvCall[] = [
  ["json of a text", (kv) => kv.get("v/text", "json")],
  ["json of a number", (kv) => kv.get("v/5", { type: "json" })],
  ["json of nothing", (kv) => kv.get("none", "json")],
  ["arrayBuffer", (kv) => kv.get("v/bad", "arrayBuffer")],
  ["a stream back", (kv) => kv.get("v/text", "stream")],
  ["an unknown type", (kv) => kv.get("v/text", "blob")],
  ["an unknown type in options", (kv) => kv.get("v/text", { type: "blob" })],
  ["an unknown type of nothing", (kv) => kv.get("none", "blob")],
  ["type null", (kv) => kv.get("v/text", null)],
  ["type undefined", (kv) => kv.get("v/text", { type: undefined })],
  ["type null in options", (kv) => kv.get("v/text", { type: null })],
  ["type as a number", (kv) => kv.get("v/text", 5)],
  ["options true", (kv) => kv.get("v/text", true)],
  ["cacheTtl", (kv) => kv.get("v/text", { cacheTtl: 60 })],
  ["cacheTtl as text", (kv) => kv.get("v/text", { cacheTtl: "60" })],
  ["cacheTtl under 30", (kv) => kv.get("v/text", { cacheTtl: 5 })],
  ["cacheTtl null", (kv) => kv.get("v/text", { cacheTtl: null })],
  ["getWithMetadata of nothing", (kv) => kv.getWithMetadata("none")],
  ["getWithMetadata without a key", (kv) => kv.getWithMetadata()],
  ["getWithMetadata of an empty key", (kv) => kv.getWithMetadata("")],
  ["getWithMetadata as an unknown type", (kv) => kv.getWithMetadata("v/text", "blob")],
  ["getWithMetadata as json", (kv) => kv.getWithMetadata("v/5", "json")],
];

const MANY: readonly KvCall[] = [
  ["several", (kv) => kv.get(["v/text", "none", "v/5"])],
  ["several of one key", (kv) => kv.get(["v/text", "v/text"])],
  ["several as json", (kv) => kv.get(["v/5", "none"], "json")],
  ["several as json, one no JSON", (kv) => kv.get(["v/5", "v/text"], "json")],
  ["several as arrayBuffer", (kv) => kv.get(["v/5"], "arrayBuffer")],
  ["several as stream", (kv) => kv.get(["v/5"], { type: "stream" })],
  ["several numbers", (kv) => kv.get([5, null, true])],
  ["several with metadata", (kv) => kv.getWithMetadata(["v/text", "none"])],
  ["several with options", (kv) => kv.get(["v/text"], { type: "text", cacheTtl: 60 })],
  ["an empty list", (kv) => kv.get([])],
  ["a list with an empty key", (kv) => kv.get([""])],
  ["100 keys", async (kv) => ((await kv.get(hundred())) as Map<string, null>).size],
  ["25 MiB and more", manyMegabytes],
  ["101 keys", (kv) => kv.get([...hundred(), "more"])],
  [
    "metadata of several that expire",
    async (kv) => {
      await kv.put("m/expires", "v", { expiration: SOON, metadata: { m: [1] } });
      return kv.getWithMetadata(["m/expires"]);
    },
  ],
];
async function manyMegabytes(kv: Loose): Promise<unknown> {
  const mebibyte = "x".repeat(1_048_576);
  const keys = Array.from({ length: 26 }, (_, i) => `large/${i}`);
  for (const key of keys) await kv.put(key, mebibyte);
  const fewer = (await kv.get(keys.slice(1))) as Map<string, string>;
  return [fewer.size, await kv.get(keys).catch(String)];
}
const hundred = (): string[] => Array.from({ length: 100 }, (_, i) => `none ${i}`);

const OPTIONS: readonly KvCall[] = [
  ["metadata", echo("o/metadata", "v", { metadata: { ü: [null, 1] } })],
  ["metadata null", echo("o/metadata0", "v", { metadata: null })],
  ["metadata undefined", echo("o/metadata1", "v", { metadata: undefined })],
  ["metadata false", echo("o/metadata2", "v", { metadata: false })],
  ["metadata as text", echo("o/metadata3", "v", { metadata: "text" })],
  ["metadata that JSON has no word for", echo("o/metadata4", "v", { metadata: () => 1 })],
  ["metadata that is too long", (kv) => kv.put("o/m", "v", { metadata: "m".repeat(1025) })],
  ["options null", echo("o/null", "v", null)],
  ["options as text", echo("o/text", "v", "text")],
  ["expiration", echo("o/expiration", "v", { expiration: SOON })],
  ["expiration as text", echo("o/expiration2", "v", { expiration: `${SOON}` })],
  ["expiration null", echo("o/expiration3", "v", { expiration: null })],
  ["expiration undefined", echo("o/expiration4", "v", { expiration: undefined })],
  ["expiration with a fraction", echo("o/expiration5", "v", { expiration: SOON + 0.5 })],
  ["expiration past", (kv) => kv.put("o/past", "v", { expiration: 5 })],
  ["expiration no number", (kv) => kv.put("o/nan", "v", { expiration: "soon" })],
  ["expirationTtl", echo("o/ttl", "v", { expirationTtl: 60 })],
  ["expirationTtl of a second", echo("o/second", "v", { expirationTtl: 1 })],
  ["expiration after 2038", echo("o/2039", "v", { expiration: 2_200_000_000 })],
  ["expirationTtl as text", echo("o/ttl2", "v", { expirationTtl: "60" })],
  ["expirationTtl 0", (kv) => kv.put("o/ttl0", "v", { expirationTtl: 0 })],
  ["expirationTtl below 0", (kv) => kv.put("o/ttl-1", "v", { expirationTtl: -1 })],
  ["expirationTtl null", echo("o/ttl3", "v", { expirationTtl: null })],
  ["expirationTtl no number", (kv) => kv.put("o/ttl4", "v", { expirationTtl: "soon" })],
  ["both", echo("o/both", "v", { expiration: SOON, expirationTtl: 60 })],
  ["both, the instant past", echo("o/both2", "v", { expiration: 5, expirationTtl: 60 })],
  ["both, no life", echo("o/both3", "v", { expiration: SOON, expirationTtl: 0 })],
  ["expiration of a bigint", echo("o/big", "v", { expiration: 2_000_000_000n })],
  ["expirationTtl of a bigint", echo("o/big2", "v", { expirationTtl: 60n })],
  ["expirationTtl without end", echo("o/endless", "v", { expirationTtl: Infinity })],
  ["expiration without end", echo("o/endless2", "v", { expiration: Infinity })],
  ["expirationTtl of decades", echo("o/decades", "v", { expirationTtl: 1_000_000_000 })],
  ["an unknown option", echo("o/unknown", "v", { unknown: true })],
];

const LISTS: readonly KvCall[] = [
  ["a prefix", (kv) => kv.list({ prefix: "o/metadata" })],
  ["a prefix as number", (kv) => kv.list({ prefix: 5 })],
  ["a prefix that matches a number", (kv) => kv.list({ prefix: true })],
  ["a prefix null", (kv) => kv.list({ prefix: null, limit: 3, cursor: undefined })],
  ["a prefix without keys", (kv) => kv.list({ prefix: "none" })],
  ["an empty prefix", (kv) => kv.list({ prefix: "", limit: 3 })],
  ["a prefix of 513 bytes", (kv) => kv.list({ prefix: "p".repeat(513) })],
  ["a limit", (kv) => kv.list({ prefix: "v/", limit: 2 })],
  ["a limit as text", (kv) => kv.list({ prefix: "v/", limit: "2" })],
  ["a limit null", (kv) => kv.list({ prefix: "o/m", limit: null })],
  ["a limit undefined", (kv) => kv.list({ prefix: "o/m", limit: undefined })],
  ["a limit with a fraction", (kv) => kv.list({ prefix: "v/", limit: 2.9 })],
  ["a limit of 0", (kv) => kv.list({ prefix: "o/metadata", limit: 0 })],
  ["a limit below 0", (kv) => kv.list({ prefix: "o/metadata", limit: -1 })],
  ["a limit true", (kv) => kv.list({ prefix: "v/", limit: true })],
  ["a limit that is no number", (kv) => kv.list({ prefix: "o/metadata", limit: "many" })],
  ["a limit without end", (kv) => kv.list({ prefix: "o/metadata", limit: Infinity })],
  ["a limit of a bigint", (kv) => kv.list({ prefix: "o/metadata", limit: 2n })],
  ["a limit of 1001", (kv) => kv.list({ limit: 1001 })],
  ["options null of a list", (kv) => kv.list(null).then((page) => Object.keys(page as object))],
  ["options as text of a list", (kv) => kv.list("o/")],
  ["a cursor null", (kv) => kv.list({ prefix: "o/metadata", cursor: null })],
  ["an empty cursor", (kv) => kv.list({ prefix: "o/metadata", cursor: "" })],
  ["expirations in a list", (kv) => kv.list({ prefix: "o/expiration" })],
  ["all pages", (kv) => names(kv, { prefix: "v/", limit: 5 })],
  ["all pages of one", (kv) => names(kv, { prefix: "o/metadata", limit: 1 })],
  [
    "keys in the order of their UTF-8",
    async (kv) => {
      for (const key of ["\uffff", "\u{10000}", "z", "é", "Z"]) await kv.put(`u/${key}`, "v");
      return names(kv, { prefix: "u/", limit: 2 });
    },
  ],
];

export const KV_CALLS: readonly KvCall[] = [
  ...VALUES,
  ...KEYS,
  ...TYPES,
  ...MANY,
  ...OPTIONS,
  ...LISTS,
];

/** The outcome of a call, as JSON; cursors may be anything. */
async function plain(value: unknown): Promise<unknown> {
  if (value instanceof ReadableStream) return { stream: await new Response(value).text() };
  if (value instanceof ArrayBuffer) return { buffer: [...new Uint8Array(value)] };
  if (value instanceof Map) {
    const entries: unknown[] = [];
    for (const [key, of] of value) entries.push([key, await plain(of)]);
    return { map: entries };
  }
  if (value === undefined) return "undefined";
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const members: [string, unknown][] = [];
  for (const [name, of] of Object.entries(value)) {
    members.push([name, name === "cursor" ? typeof of : of === undefined ? "undefined" : of]);
  }
  return Object.fromEntries(members);
}

/**
 * The outcome of every call, in turn, by its name.
 *
 * @param kv a `KVNamespace`
 */
export async function toldOf(kv: unknown): Promise<Readonly<Record<string, string>>> {
  const told: Record<string, string> = {};
  for (const [name, run] of KV_CALLS) {
    try {
      told[name] = JSON.stringify(await plain(await run(kv as Loose)));
    } catch (error) {
      told[name] = String(error);
    }
  }
  return told;
}

/** The differences: by the name of the call, what the real one did and what ours did. */
export function differencesOf(
  real: Readonly<Record<string, string>>,
  ours: Readonly<Record<string, string>>,
): Readonly<Record<string, readonly [real: string, ours: string | undefined]>> {
  const apart = Object.entries(real).filter(([name, outcome]) => ours[name] !== outcome);
  return Object.fromEntries(apart.map(([name, outcome]) => [name, [outcome, ours[name]]]));
}
