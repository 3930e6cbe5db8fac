/** HEAD at the door: asked of the origin as HEAD, and what it says freshens what is stored. */
import { passedFields, withCacheStatus } from "../cache/answering.ts";
import { isStillOf, updatedFields } from "../cache/conditional.ts";
import { select } from "../cache/look-up.ts";
import { type Variant, withVariant } from "../cache/stored.ts";
import { judge, storedFields, tagsOf } from "../cache/storing.ts";
import type { AnswerParts, Ask } from "./answers.ts";
import { type Call, toOrigin } from "./call.ts";
import type { DoorAnswer } from "./ports.ts";
import { type Found, StoreError } from "./response-store.ts";

export class Heads {
  readonly #parts: AnswerParts;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /** RFC 9111, 4.3.5: a stored response is as what HEAD says, or stale. @throws OriginError */
  async answer(ask: Ask): Promise<DoorAnswer> {
    const { call, found, why } = ask;
    const { fields } = call.head;
    const variant = ask.variant ?? (found === null ? null : select(found.stored, call.head));
    const { host, origin } = this.#parts;
    const requestedAt = host.now();
    const response = await origin.fetch(toOrigin(call, { method: "HEAD", fields }));
    const respondedAt = host.now();
    await response.body[Symbol.asyncIterator]().return?.();
    this.#parts.metrics.answered(call.site.name, "miss");
    const { settings } = call.site;
    if (variant !== null && found !== null && response.status === variant.status) {
      const isSame = isStillOf(variant.fields, variant.body.length, response.fields);
      const updated = updatedFields(variant.fields, response.fields);
      const times = { requestedAt, respondedAt };
      const head = { status: variant.status, fields: updated };
      const request = { method: "GET", fields };
      const exchange = { request, response: head, site: settings, ...times, isOwnLocation: false };
      const { said, freshness } = judge(exchange);
      const news = { ...variant, ...times, fields: storedFields(updated, said), freshness };
      const stale = { ...freshness, lifetimeMs: -1, staleWhileRevalidateMs: 0 };
      const kept = isSame ? { ...news, tags: tagsOf(updated) } : { ...variant, freshness: stale };
      host.background(this.#keep(call, found, kept));
    }
    const status = { fwd: why, fwdStatus: response.status };
    return {
      status: response.status,
      fields: withCacheStatus(passedFields(response.fields, settings), status),
      body: null,
      length: null,
    };
  }

  async #keep({ site }: Call, found: Found, variant: Variant): Promise<void> {
    try {
      const stored = withVariant({ ...found.stored, variants: [] }, variant);
      const others = found.stored.variants.filter(({ body }) => body !== variant.body);
      await this.#parts.store.write(
        site.name,
        others.reduce((all, other) => withVariant(all, other), stored),
        found.context,
      );
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#parts.metrics.storeFailed();
    }
  }
}
