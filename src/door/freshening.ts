/**
 * What an origin says of a stored response, by a 304 or to HEAD: how that is from then on (RFC
 * 9111, 3.2). It is judged as if it had come anew: what is for one visitor alone from now on is
 * given to nobody else, least of all a cookie that was set in passing.
 */
import type { WallMillis } from "../../core/time.ts";
import { updatedFields } from "../cache/conditional.ts";
import { type Fields, fieldOf, withField, without } from "../cache/fields.ts";
import type { Freshness } from "../cache/freshness.ts";
import { bodyEndsAt, type Variant } from "../cache/stored.ts";
import { judge, type Refusal, storedFields, tagsOf } from "../cache/storing.ts";
import { selectionOf, varyNames } from "../cache/vary.ts";
import type { DoorCall } from "./call.ts";

export interface Told {
  readonly call: DoorCall;
  readonly variant: Variant;
  /** The fields of the 304, or of the answer to HEAD. */
  readonly fields: Fields;
  readonly requestedAt: WallMillis;
  readonly respondedAt: WallMillis;
}

export interface Freshened {
  /** As everybody may have it; null: only the asker may. */
  readonly shared: Variant | null;
  /** As the asker gets it, with all that the origin told. */
  readonly own: Variant;
  readonly freshness: Freshness;
  /** Why it is for the asker alone. */
  readonly detail: Refusal | null;
}

/**
 * Fields of the request that do not count here: the stored response was fetched for another
 * request, and is the same for this one.
 */
const OF_THE_ASKER = new Set(["authorization", "cookie"]);

export function freshened({ call, variant, fields: told, ...times }: Told): Freshened {
  const fields = updatedFields(variant.fields, told);
  const age = fieldOf(told, "age");
  const judged = judge({
    request: { method: "GET", fields: without(call.head.fields, OF_THE_ASKER) },
    // Stored fields are without an age: that of the new head counts.
    response: {
      status: variant.status,
      fields: age === null ? fields : withField(fields, "Age", age),
    },
    site: call.site.settings,
    ...times,
    isOwnLocation: false,
  });
  const { said, refusal } = judged;
  const bodyMs = bodyEndsAt(variant.body) - times.respondedAt;
  const retentionMs = Math.min(judged.freshness.retentionMs, bodyMs);
  const freshness = { ...judged.freshness, retentionMs };
  // A response that is of no use from now on is not kept, but is no secret for that.
  const detail = refusal === "stale" ? null : refusal;
  const { selection } = variant;
  // It is chosen for the same requests as before, unless its `Vary` is another one now.
  const isChosenAnew = String(varyNames(fields)) !== String(selection.names);
  const own: Variant = {
    ...{ ...variant, ...times, fields, freshness, tags: tagsOf(fields) },
    selection: isChosenAnew ? selectionOf(fields, call.head.fields) : selection,
  };
  const shared = detail === null ? { ...own, fields: storedFields(fields, said) } : null;
  return { shared, own, freshness, detail };
}
