/** What a read found, with its value still on the way. */
import { StarlingError } from "./error.ts";
import { dateOf } from "./version.ts";

/** Who answered: `r` and `answered` of reads; `w`, `acked` and `durable` of writes. */
export interface Quorum {
  readonly n: number;
  readonly primaries: number;
  readonly fallbacks: number;
  readonly r?: number;
  readonly answered?: number;
  readonly w?: number;
  readonly acked?: number;
  readonly durable?: number;
  /** Of a read with `maxStale`: the proven bound on how far behind it is, in seconds. */
  readonly staleBound?: number;
  /** For writes that so many replicas have acknowledged. */
  readonly staleW?: number;
  /** Of a read with `consistency: "auto"`: how likely it sees what was asked for. */
  readonly predicted?: number;
}

const camel = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The `Starling-Quorum` of an answer: a dictionary of numbers. */
export function quorumOf(headers: Headers): Quorum {
  const members = (headers.get("Starling-Quorum") ?? "").split(",").map((text) => text.split("="));
  const numbers = members.map(([name = "", value]) => [camel(name.trim()), Number(value)] as const);
  const known = numbers.filter(([name, value]) => name !== "" && !Number.isNaN(value));
  return { n: 0, primaries: 0, fallbacks: 0, ...Object.fromEntries(known) };
}

export const contextOf = (headers: Headers): string => headers.get("Starling-Context") ?? "";

/** When the value expires, by the answer's date and what it says is left. */
function expiresAtOf(headers: Headers): Date | null {
  // What caches may use is another matter, but before `Starling-TTL` there was nothing else.
  const inCacheControl = /(?:^|[,\s])max-age=([0-9]+)/.exec(headers.get("Cache-Control") ?? "");
  const left = headers.get("Starling-TTL") ?? inCacheControl?.[1];
  if (left === undefined) return null;
  const now = dateOf(headers.get("Date"))?.getTime() ?? Date.now();
  return new Date(now + Number(left) * 1000);
}

export function metadataOf(headers: Headers): unknown {
  const text = headers.get("Starling-Metadata");
  return text === null ? null : JSON.parse(text);
}

/** A body to its end. @throws StarlingError when it breaks off; the reason of a signal as it is */
export async function readWhole<T>(
  response: Response,
  read: (response: Response) => Promise<T>,
): Promise<T> {
  if (response.bodyUsed) throw new TypeError("the value has been read before");
  try {
    return await read(response);
  } catch (cause) {
    // A signal's abort reason: nothing else here throws one of these.
    if (cause instanceof DOMException) throw cause;
    const { status } = response;
    const detail = "the answer broke off on its way";
    throw new StarlingError({ code: "no-answer", detail, status, outcome: "no", cause });
  }
}

interface Read {
  /** To give back with the next write; there also when there is no value. */
  readonly context: string;
  readonly quorum: Quorum;
}

/** What describes a version. */
interface Described extends Read {
  readonly exists: true;
  /** How many concurrent versions there are; the newest is shown. See `siblings` and `update`. */
  readonly siblings: number;
  readonly etag: string;
  readonly contentType: string | null;
  /** As it is stored; `fetch` decodes what it can by itself. */
  readonly contentEncoding: string | null;
  /** The JSON value that was stored with it; null when none was. */
  readonly metadata: unknown;
  readonly lastModified: Date | null;
  /** null: it does not expire. */
  readonly expiresAt: Date | null;
}

interface WithoutValue {
  bytes(): Promise<null>;
  text(): Promise<null>;
  json(): Promise<null>;
  stream(): null;
}

/** A value. It is read once, by one of `bytes`, `text`, `json`, `stream`. */
export interface Found extends Described {
  readonly isUnchanged: false;
  /** @throws StarlingError when the answer broke off */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /** As UTF-8. @throws StarlingError when the answer broke off */
  text(): Promise<string>;
  /** @throws SyntaxError, StarlingError */
  json<T = unknown>(): Promise<T>;
  /** To be read to its end, or cancelled. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** The version is still that of `ifNoneMatch`; its value is not sent again. */
export interface Unchanged extends Described, WithoutValue {
  readonly isUnchanged: true;
}

/** What `head` tells: all but the value. */
export interface Shown extends Described, WithoutValue {
  readonly isUnchanged: boolean;
}

/** There is no value: none was written, or it was deleted, or has expired. */
export interface Missing extends Read, WithoutValue {
  readonly exists: false;
  readonly isUnchanged: false;
  readonly siblings: 0;
  readonly etag: null;
  readonly contentType: null;
  readonly contentEncoding: null;
  readonly metadata: null;
  readonly lastModified: null;
  readonly expiresAt: null;
}

/** What a read found: `if (got.exists)` tells a value from none. */
export type Got = Found | Missing;
/** The same for a read with `ifNoneMatch`: see `isUnchanged` before the value is read. */
export type Revalidated = Got | Unchanged;
/** What `head` found. */
export type Headed = Shown | Missing;

/** All of them, as an answer says them. */
export class ReadAnswer {
  readonly exists: boolean;
  readonly isUnchanged: boolean;
  readonly context: string;
  readonly siblings: number;
  readonly etag: string | null;
  readonly contentType: string | null;
  readonly contentEncoding: string | null;
  readonly metadata: unknown;
  readonly lastModified: Date | null;
  readonly expiresAt: Date | null;
  readonly quorum: Quorum;
  readonly #response: Response;
  readonly #hasBody: boolean;

  constructor(response: Response, hasBody: boolean) {
    const { status, headers } = response;
    this.#response = response;
    this.#hasBody = hasBody && status === 200;
    this.exists = status !== 404;
    this.isUnchanged = status === 304;
    this.context = contextOf(headers);
    this.siblings = this.exists ? Number(headers.get("Starling-Siblings") ?? 1) : 0;
    this.etag = this.exists ? (headers.get("ETag") ?? "") : null;
    this.contentType = this.exists ? headers.get("Content-Type") : null;
    this.contentEncoding = this.exists ? headers.get("Content-Encoding") : null;
    this.metadata = this.exists ? metadataOf(headers) : null;
    this.lastModified = this.exists ? dateOf(headers.get("Last-Modified")) : null;
    this.expiresAt = this.exists ? expiresAtOf(headers) : null;
    this.quorum = quorumOf(headers);
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (!this.#hasBody) return null;
    return new Uint8Array(await readWhole(this.#response, (body) => body.arrayBuffer()));
  }

  async text(): Promise<string | null> {
    return this.#hasBody ? readWhole(this.#response, (body) => body.text()) : null;
  }

  async json<T = unknown>(): Promise<T | null> {
    const text = await this.text();
    return text === null ? null : (JSON.parse(text) as T);
  }

  stream(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    // An empty value may come without any stream.
    return this.#hasBody ? (this.#response.body ?? new Blob([]).stream()) : null;
  }
}
