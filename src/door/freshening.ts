/**
 * What an origin says of a stored response, by a 304 or to HEAD: how that is from then on (RFC
 * 9111, 3.2). It is judged as if it had come anew: what is for one visitor alone from now on is
 * given to nobody else, least of all a cookie that was set in passing.
 */
import type { SiteSettings } from "../../core/site.ts";
import type { WallMillis } from "../../core/time.ts";
import { updatedFields } from "../cache/conditional.ts";
import { saidBy } from "../cache/directives.ts";
import { type Fields, fieldOf, has, withField } from "../cache/fields.ts";
import type { Freshness } from "../cache/freshness.ts";
import { bodyEndsAt, type Variant } from "../cache/stored.ts";
import { judge, type Refusal, storedFields, tagsOf } from "../cache/storing.ts";
import { widened } from "../cache/vary.ts";
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

/** A targeted field allows the cookies that come with it, and none that come later. */
const isCookieInPassing = (told: Fields, { targets }: SiteSettings): boolean =>
  has(told, "set-cookie") && !saidBy(told, targets).isTargeted;

/**
 * The pieces of a body keep the tags that it came with, and a purge of one of these ends them. So
 * their head keeps those too: it would be a hit that breaks off.
 */
function tagsAfter({ body, tags }: Variant, fields: Fields): readonly string[] {
  const told = tagsOf(fields);
  return body.bytes === null ? [...new Set([...told, ...tags])] : told;
}

export function freshened({ call, variant, fields: told, ...times }: Told): Freshened {
  const fields = updatedFields(variant.fields, told);
  const age = fieldOf(told, "age");
  const judged = judge({
    // What is told to a token or a cookie may be their owner's, though the body is everybody's.
    request: { method: "GET", fields: call.head.fields },
    // Stored fields are without an age: that of the new head counts.
    response: {
      status: variant.status,
      fields: age === null ? fields : withField(fields, "Age", age),
    },
    site: call.site.settings,
    ...times,
    isOwnLocation: false,
  });
  const { said } = judged;
  const bodyMs = bodyEndsAt(variant.body) - times.respondedAt;
  const retentionMs = Math.min(judged.freshness.retentionMs, bodyMs);
  const freshness = { ...judged.freshness, retentionMs };
  // A response that is of no use from now on is not kept, but is no secret for that.
  const refusal = judged.refusal === "stale" ? null : judged.refusal;
  const detail = refusal ?? (isCookieInPassing(told, call.site.settings) ? "set-cookie" : null);
  const own: Variant = {
    ...{ ...variant, ...times, fields, freshness, tags: tagsAfter(variant, fields) },
    selection: widened(variant.selection, fields, call.head.fields),
  };
  const shared = detail === null ? { ...own, fields: storedFields(fields, said) } : null;
  return { shared, own, freshness, detail };
}
