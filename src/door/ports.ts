/** What the cache door needs of its host, and what it is given and gives. Web standards only. */
import type { SiteSettings } from "../../core/site.ts";
import type { WallMillis } from "../../core/time.ts";
import type { Fields } from "../cache/fields.ts";
import type { Digest } from "./kept.ts";

/** Bytes as they come; a reader that stops early says so to the source. */
export type Bytes = AsyncIterable<Uint8Array>;

export interface DoorRequest {
  readonly method: string;
  /** As it stood on the request line: in origin-form or absolute-form. */
  readonly target: string;
  readonly scheme: "http" | "https";
  readonly fields: Fields;
  readonly body: Bytes | null;
  readonly address: string;
  /** Where the door listens: a `Host` with this port names the same as one without. */
  readonly port: number | null;
  /** Whether the address is in one of these CIDRs. */
  isFrom(cidrs: readonly string[]): boolean;
  /** A GET whose very fields come with further ones of its client: what is made of them is kept. */
  readonly isLasting?: boolean;
  /** Told of interim responses of the origin (1xx), where the host can send them. */
  readonly onInterim?: (status: number, fields: Fields) => void;
}

export interface DoorAnswer {
  readonly status: number;
  readonly fields: Fields;
  /** null: there is none, as for HEAD and 304. */
  readonly body: Uint8Array | Bytes | null;
  /** Of `body`; null: it is not known before its end. */
  readonly length: number | null;
  /** Where the body's bytes come from, for the metrics; absent: they are the door's own. */
  readonly from?: "cache" | "origin";
  /** The site that the request belongs to; absent: to none. */
  readonly site?: string;
}

export interface OriginRequest {
  readonly site: SiteSettings;
  readonly method: string;
  /** Path and query below the site's base URL. */
  readonly target: string;
  readonly host: string;
  readonly fields: Fields;
  readonly body: Bytes | null;
  /** As the client announced it; null: it comes in chunks, or there is none. */
  readonly bodyLength: string | null;
  readonly onInterim?: ((status: number, fields: Fields) => void) | undefined;
}

export interface OriginResponse {
  readonly status: number;
  readonly fields: Fields;
  /** Throws OriginError when it breaks off. Ending the iteration early ends the connection. */
  readonly body: Bytes;
}

export type OriginFault = "origin-unreachable" | "origin-timeout" | "origin-invalid";

/** The origin did not answer as it should: expected, and told to the client as a problem. */
export class OriginError extends Error {
  override readonly name = "OriginError";
  readonly code: OriginFault;

  constructor(code: OriginFault, detail: string) {
    super(detail);
    this.code = code;
  }
}

export interface Origin {
  /** Resolves with the head; @throws OriginError */
  fetch(request: OriginRequest): Promise<OriginResponse>;
}

/**
 * For a garbage collector that lets bytes lie: it is told what is made, and made to look in time.
 */
export interface Garbage {
  /** Bytes that are of no use as soon as they are sent. @returns whether it is time to look */
  made(byteCount: number): boolean;
  /** Best when little of what was made is still in use. */
  collect(): void;
}

export interface DoorHost {
  now(): WallMillis;
  /** Where the host has a quicker one than JavaScript's. */
  readonly digest?: Digest;
  /** A name that nobody else has ever taken. */
  uniqueName(): string;
  /** Keeps work going that outlives its answer. */
  background(work: Promise<unknown>): void;
  /** Resolves after this many ms. */
  wait(ms: number): Promise<void>;
  /** Where the host's collector has to be told. */
  readonly garbage?: Garbage;
}
