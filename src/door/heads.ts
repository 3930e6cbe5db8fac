/** HEAD at the door: asked of the origin as HEAD, and what it says freshens what is stored. */
import type { WallMillis } from "../../core/time.ts";
import { passedFields, withCacheStatus } from "../cache/answering.ts";
import { isStillOf } from "../cache/conditional.ts";
import type { Fields } from "../cache/fields.ts";
import { doesOnError, select } from "../cache/look-up.ts";
import { type Variant, withVariant } from "../cache/stored.ts";
import { isOfRequest } from "../cache/storing.ts";
import type { AnswerParts, Answers, Ask } from "./answers.ts";
import { type DoorCall, toOrigin } from "./call.ts";
import { FAILURES } from "./fetching.ts";
import { freshened } from "./freshening.ts";
import { asMinted, type Found } from "./kept.ts";
import { type DoorAnswer, OriginError, type OriginResponse } from "./ports.ts";
import { StoreError } from "./store-errors.ts";

export class Heads {
  readonly #parts: AnswerParts;
  readonly #answers: Answers;

  constructor(parts: AnswerParts, answers: Answers) {
    this.#parts = parts;
    this.#answers = answers;
  }

  /** @throws OriginError where nothing that is stored may do instead */
  async answer(ask: Ask): Promise<DoorAnswer> {
    const { call, found, why } = ask;
    const { fields } = call.head;
    const variant = ask.variant ?? (found === null ? null : select(found.stored, call.head));
    const { host, metrics, origin, store } = this.#parts;
    const mayFreshen = variant !== null && found !== null;
    const leasedAt = mayFreshen ? await store.timeFor(call.site, call.key) : null;
    const requestedAt = host.now();
    const response = await this.#fetched(origin.fetch(toOrigin(call, { method: "HEAD", fields })));
    const isFailure = response instanceof OriginError || FAILURES.has(response.status);
    if (isFailure && mayFreshen && doesOnError(variant, found.stored, call.head, host.now())) {
      const detail = response instanceof OriginError ? response.code : `origin-${response.status}`;
      return this.#answers.landed(ask, { kind: "stale", variant, detail });
    }
    if (response instanceof OriginError) throw response;
    metrics.answered(call.site.name, "miss");
    if (mayFreshen && response.status === variant.status) {
      const times = { requestedAt, respondedAt: host.now() };
      const kept = freshenedByHead({ call, variant, told: response.fields, times });
      const since = leasedAt ?? requestedAt;
      if (kept !== null)
        host.background(this.#keep({ call, found, since }, asMinted(kept, leasedAt)));
    }
    const status = { fwd: why, fwdStatus: response.status };
    return {
      status: response.status,
      fields: withCacheStatus(passedFields(response.fields, call.site.settings), status),
      body: null,
      length: null,
    };
  }

  /** The head that came, whose body nobody wants; or the origin's fault. */
  async #fetched(coming: Promise<OriginResponse>): Promise<OriginResponse | OriginError> {
    try {
      const response = await coming;
      await response.body[Symbol.asyncIterator]().return?.();
      return response;
    } catch (error) {
      if (error instanceof OriginError) return error;
      throw error;
    }
  }

  async #keep(
    { call, found, since }: { call: DoorCall; found: Found; since: WallMillis },
    variant: Variant,
  ): Promise<void> {
    try {
      const stored = withVariant({ ...found.stored, variants: [] }, variant);
      const others = found.stored.variants.filter(({ body }) => body !== variant.body);
      await this.#parts.store.writeSince(since, call.site.name, {
        stored: others.reduce((all, other) => withVariant(all, other), stored),
        context: found.context,
      });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#parts.metrics.storeFailed();
    }
  }
}

/**
 * RFC 9111, 4.3.5: the stored response is as what HEAD says of it, or stale from now on: it is of
 * another version, or no longer for everybody. Null: as it was, as HEAD says it of its asker alone.
 */
function freshenedByHead(of: {
  readonly call: DoorCall;
  readonly variant: Variant;
  readonly told: Fields;
  readonly times: { readonly requestedAt: WallMillis; readonly respondedAt: WallMillis };
}): Variant | null {
  const { call, variant, told, times } = of;
  const { shared, freshness, detail } = freshened({ call, variant, fields: told, ...times });
  if (isOfRequest(detail) || detail === "set-cookie") return null;
  if (shared !== null && isStillOf(variant.fields, variant.body.length, told)) return shared;
  return { ...variant, freshness: { ...freshness, lifetimeMs: -1, staleWhileRevalidateMs: 0 } };
}
