/** A stored response as the answer to one request: its conditions, its range, its age. */
import type { SiteSettings } from "../../core/site.ts";
import type { WallMillis } from "../../core/time.ts";
import { ageField, type CacheStatus, passedFields, withCacheStatus } from "../cache/answering.ts";
import { isNotModified, notModifiedFields, rangeApplies } from "../cache/conditional.ts";
import { type Fields, withField, without } from "../cache/fields.ts";
import { ageOf, askedRange } from "../cache/look-up.ts";
import { type ByteRange, contentRange, readRange } from "../cache/range.ts";
import type { Variant } from "../cache/stored.ts";
import type { DoorCall } from "./call.ts";
import type { Bytes, DoorAnswer } from "./ports.ts";

export interface BodySource {
  /** null: not known before its end. */
  readonly length: number | null;
  whole(): Uint8Array | Bytes;
  /** null: the body is only just coming. */
  readonly part: ((range: ByteRange) => Uint8Array | Bytes) | null;
}

export interface Given {
  readonly call: DoorCall;
  readonly variant: Variant;
  readonly source: BodySource;
  readonly now: WallMillis;
}

const MADE_ANEW = new Set(["content-length"]);
const AGE = new Set(["age"]);
const isBodiless = (status: number): boolean => status === 204 || status === 304;

/** What everybody is told of a variant. */
interface Told {
  readonly site: SiteSettings;
  readonly fields: Fields;
  /** The same without `Age`, which most origins do not say. */
  readonly ageless: Fields;
}

const known = new WeakMap<Variant, Told>();

/** Computed once for as long as a variant is in memory: a hot one is given again and again. */
function toldOf(variant: Variant, site: SiteSettings): Told {
  const kept = known.get(variant);
  if (kept !== undefined && kept.site === site) return kept;
  const fields = without(passedFields(variant.fields, site), MADE_ANEW);
  const told = { site, fields, ageless: without(fields, AGE) };
  known.set(variant, told);
  return told;
}

/** The URL: the rest of the key is fields of the client's. */
function urlIn(key: string): string {
  const end = key.indexOf("\n");
  return end < 0 ? key : key.slice(0, end);
}

export function answerStored(given: Given, status: CacheStatus): DoorAnswer {
  const { call, variant, source, now } = given;
  const { fields: asked, method } = call.head;
  const age = ageField(ageOf(variant, now));
  const told = toldOf(variant, call.site.settings);
  // A response just come from the origin has no age but the one that it names (RFC 9111, 5.1).
  const isAged = status.hit === true || age !== "0";
  const aged: Fields = isAged ? [...told.ageless, ["Age", age]] : told.fields;
  const fields = withCacheStatus(aged, { ...status, key: urlIn(call.key) });
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
