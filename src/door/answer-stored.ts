/** A stored response as the answer to one request: its conditions, its range, its age. */
import type { WallMillis } from "../../core/time.ts";
import { ageField, type CacheStatus, passedFields, withCacheStatus } from "../cache/answering.ts";
import { isNotModified, notModifiedFields, rangeApplies } from "../cache/conditional.ts";
import { type Fields, withField, without } from "../cache/fields.ts";
import { ageOf, askedRange } from "../cache/look-up.ts";
import { type ByteRange, contentRange, readRange } from "../cache/range.ts";
import type { Variant } from "../cache/stored.ts";
import type { Call } from "./call.ts";
import type { Bytes, DoorAnswer } from "./ports.ts";

export interface BodySource {
  /** null: not known before its end. */
  readonly length: number | null;
  whole(): Uint8Array | Bytes;
  /** null: the body is only just coming. */
  readonly part: ((range: ByteRange) => Uint8Array | Bytes) | null;
}

export interface Given {
  readonly call: Call;
  readonly variant: Variant;
  readonly source: BodySource;
  readonly now: WallMillis;
}

const LENGTH = new Set(["content-length"]);
const isBodiless = (status: number): boolean => status === 204 || status === 304;

export function answerStored(given: Given, status: CacheStatus): DoorAnswer {
  const { call, variant, source, now } = given;
  const { fields: asked, method } = call.head;
  const age = ageField(ageOf(variant, now));
  const told = passedFields(variant.fields, call.site.settings);
  const key = { ...status, key: call.key.split("\n", 1)[0] ?? "" };
  const bare = without(told, LENGTH);
  // What has just come from the origin has no age that it does not say itself (RFC 9111, 5.1).
  const isAged = status.hit === true || age !== "0";
  const fields = withCacheStatus(isAged ? withField(bare, "Age", age) : bare, key);
  if (variant.status === 200 && isNotModified(asked, variant)) {
    return { status: 304, fields: notModifiedFields(fields), body: null, length: null };
  }
  const { length } = source;
  if (method === "HEAD" || isBodiless(variant.status)) {
    const size: Fields =
      length === null || isBodiless(variant.status) ? [] : [["Content-Length", String(length)]];
    return { status: variant.status, fields: [...fields, ...size], body: null, length: null };
  }
  return (
    ranged({ ...given, asked }, fields) ?? {
      status: variant.status,
      fields,
      body: source.whole(),
      length,
    }
  );
}

/** A part of it, if the client asks for one and the whole is here; else null. */
function ranged(
  { call, variant, source, asked }: Given & { asked: Fields },
  fields: Fields,
): DoorAnswer | null {
  const range = askedRange(call.head);
  const { length, part } = source;
  if (range === null || length === null || part === null || variant.status !== 200) return null;
  if (!rangeApplies(asked, variant.fields)) return null;
  const verdict = readRange(range, length);
  if (verdict.kind === "whole") return null;
  if (verdict.kind === "unsatisfiable") {
    const size = withField(fields, "Content-Range", `bytes */${length}`);
    return { status: 416, fields: size, body: new Uint8Array(0), length: 0 };
  }
  return {
    status: 206,
    fields: withField(fields, "Content-Range", contentRange(verdict.range, length)),
    body: part(verdict.range),
    length: verdict.range.to - verdict.range.from,
  };
}
