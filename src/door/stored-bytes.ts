/**
 * The bytes of a stored body. A piece that no owner has any more is asked of the origin, by
 * `If-Range` with a strong validator: it is used only if it is of the very version that is stored.
 * So is one that could not be read for long. Else the connection breaks: never a wrong byte.
 */
import { withoutConditions } from "../cache/conditional.ts";
import { type Fields, fieldOf } from "../cache/fields.ts";
import { type ByteRange, contentRange } from "../cache/range.ts";
import type { Variant } from "../cache/stored.ts";
import { MADE_READ } from "./body-flow.ts";
import { type DoorCall, toOrigin } from "./call.ts";
import type { DoorMetrics } from "./door-metrics.ts";
import type { Bytes, DoorHost, Origin } from "./ports.ts";
import type { ResponseStore } from "./response-store.ts";
import { MissingPiece, StoreError } from "./store-errors.ts";

export interface StoredBytesParts {
  readonly store: ResponseStore;
  readonly origin: Origin;
  readonly host: Pick<DoorHost, "garbage" | "background">;
  readonly metrics: DoorMetrics;
}

export async function* storedBytes(
  { store, origin, host, metrics }: StoredBytesParts,
  { call, variant }: { readonly call: DoorCall; readonly variant: Variant },
  range: ByteRange,
): Bytes {
  const { garbage } = host;
  let { from } = range;
  try {
    for await (const bytes of store.bytes(call.site.name, variant.body, range)) {
      yield bytes;
      from += bytes.length;
      if (garbage?.made(MADE_READ * bytes.length) === true) garbage.collect();
    }
  } catch (error) {
    if (!(error instanceof MissingPiece) && !(error instanceof StoreError)) throw error;
    metrics.storeFailed();
    // Else the next reader would miss the same piece, for as long as the head is kept.
    if (error instanceof MissingPiece) host.background(forgotten(store, { call, variant }));
    yield* fromOrigin(origin, { call, variant }, { from, to: range.to });
  }
}

/** The next request has it anew. */
async function forgotten(
  store: ResponseStore,
  { call, variant }: { readonly call: DoorCall; readonly variant: Variant },
): Promise<void> {
  try {
    await store.forget(call.site.name, call.key, variant.body.version);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

/** @throws MissingPiece when the origin has another version by now, or cannot tell */
async function* fromOrigin(
  origin: Origin,
  { call, variant }: { readonly call: DoorCall; readonly variant: Variant },
  range: ByteRange,
): Bytes {
  const etag = fieldOf(variant.fields, "etag");
  if (etag === null || !etag.startsWith('"')) throw new MissingPiece("a piece is gone");
  const more: Fields = [
    ["Range", `bytes=${range.from}-${range.to - 1}`],
    ["If-Range", etag],
  ];
  const fields = withoutConditions(call.head.fields);
  const response = await origin.fetch(toOrigin(call, { method: "GET", fields, more }));
  const told = fieldOf(response.fields, "content-range");
  const isIt = response.status === 206 && told === contentRange(range, variant.body.length);
  if (!isIt || fieldOf(response.fields, "etag") !== etag) {
    await response.body[Symbol.asyncIterator]().return?.();
    throw new MissingPiece("a piece is gone, and the origin has another version");
  }
  let left = range.to - range.from;
  for await (const bytes of response.body) {
    left -= bytes.length;
    if (left < 0) break;
    yield bytes;
  }
  if (left !== 0) throw new MissingPiece("the origin sent another part");
}
