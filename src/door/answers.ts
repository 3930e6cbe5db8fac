/** What a look-up or a fetch brought, as the answer to one request; and what is counted of it. */
import { type CacheStatus, passedFields, withCacheStatus } from "../cache/answering.ts";
import { isNotModified, notModifiedFields } from "../cache/conditional.ts";
import { fieldOf, without } from "../cache/fields.ts";
import { type Forwarded, ttlOf } from "../cache/look-up.ts";
import { emptyStored, type Variant } from "../cache/stored.ts";
import { matches } from "../cache/vary.ts";
import { answerStored, type BodySource } from "./answer-stored.ts";
import type { DoorCall } from "./call.ts";
import type { CacheResult, DoorMetrics } from "./door-metrics.ts";
import type { Landing } from "./fetching.ts";
import type { Found } from "./kept.ts";
import { type Fresh, flowing, LENGTH, release } from "./landing.ts";
import type { DoorAnswer, DoorHost, Origin } from "./ports.ts";
import type { ResponseStore } from "./response-store.ts";
import { storedBytes } from "./stored-bytes.ts";

/** A request that goes to the origin, with what is stored for it. */
export interface Ask {
  readonly call: DoorCall;
  readonly found: Found | null;
  readonly variant: Variant | null;
  readonly why: Forwarded;
}

export interface AnswerParts {
  readonly store: ResponseStore;
  readonly origin: Origin;
  readonly host: DoorHost;
  readonly metrics: DoorMetrics;
}

export class Answers {
  readonly #parts: AnswerParts;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  count({ site }: DoorCall, result: CacheResult): void {
    this.#parts.metrics.answered(site.name, result);
  }

  /** A stored variant to a client, with its bytes from the ring. */
  give(call: DoorCall, variant: Variant, status: CacheStatus, body?: BodySource): DoorAnswer {
    const { body: stored } = variant;
    const source: BodySource = body ?? {
      length: stored.length,
      whole: () =>
        stored.bytes ?? storedBytes(this.#parts, { call, variant }, { from: 0, to: stored.length }),
      part: (range) =>
        stored.bytes?.subarray(range.from, range.to) ??
        storedBytes(this.#parts, { call, variant }, range),
    };
    const answer = answerStored({ call, variant, source, now: this.#parts.host.now() }, status);
    // What several share has come from the origin once: for the one that asked for it.
    const isFetched = body !== undefined && status.collapsed !== true;
    return { ...answer, from: isFetched ? "origin" : "cache" };
  }

  /** What another request's fetch brought, if that answers this one too. */
  shared(ask: Ask, landing: Landing): DoorAnswer | null {
    const { call, why } = ask;
    const { variant } = landing;
    if (variant === null) return null;
    if (!matches(variant.selection, variant.fields, call.head.fields)) return null;
    if (landing.kind === "fresh" && !landing.flow.isOpen) return null;
    this.#parts.metrics.collapsed();
    this.count(call, "miss");
    const status = { fwd: why, collapsed: true };
    if (landing.kind !== "fresh") return this.give(call, variant, status);
    return this.give(call, variant, status, flowing(landing, landing.flow.read()));
  }

  landed(ask: Ask, landing: Landing): DoorAnswer {
    const { call, why } = ask;
    if (landing.kind === "found") {
      this.#parts.metrics.collapsed();
      this.count(call, "miss");
      return this.give(call, landing.variant, { fwd: why, collapsed: true });
    }
    if (landing.kind === "validated") {
      this.count(call, "revalidated");
      const { own, detail } = landing;
      const kept = detail === null ? { stored: true } : { detail };
      return this.give(call, own, { fwd: why, fwdStatus: 304, ...kept });
    }
    if (landing.kind === "stale") {
      this.count(call, "stale");
      const stored = ask.found?.stored ?? emptyStored(call.key);
      const ttl = ttlOf(landing.variant, stored, this.#parts.host.now()) / 1000;
      return this.give(call, landing.variant, { hit: true, ttl, detail: landing.detail });
    }
    const { head, variant, detail } = landing;
    this.count(call, why === "bypass" ? "bypass" : "miss");
    const status: CacheStatus = {
      fwd: why,
      fwdStatus: head.status,
      ...(variant === null ? {} : { stored: true }),
      ...(detail === null ? {} : { detail }),
    };
    if (variant === null) return this.#unstored(call, landing, status);
    // The asker gets all fields, even those withheld from others (RFC 9111, 5.2.2.4, 5.2.2.7).
    const own = { ...variant, fields: head.fields };
    const answer = this.give(call, own, status, flowing(landing, landing.body));
    // The client has it already, and it is stored all the same.
    if (answer.body !== landing.body) release(landing);
    return answer;
  }

  /** For this client alone: 304 where it has this already, as its conditions stayed here. */
  #unstored(call: DoorCall, landing: Fresh, status: CacheStatus): DoorAnswer {
    const { head, askedAt, detail } = landing;
    const answer = this.passedOn(call, landing, status);
    const kept = { fields: head.fields, respondedAt: askedAt };
    const isKnown = detail !== null && head.status === 200 && isNotModified(call.head.fields, kept);
    if (!isKnown) return answer;
    release(landing);
    return { status: 304, fields: notModifiedFields(answer.fields), body: null, length: null };
  }

  /** An answer as it came, for this client alone. */
  passedOn(call: DoorCall, landing: Fresh, status: CacheStatus): DoorAnswer {
    const { head, body } = landing;
    const length = fieldOf(head.fields, "content-length");
    const isUnsized = head.status === 204;
    const isEmpty = isUnsized || head.status === 304 || call.head.method === "HEAD";
    if (isEmpty) release(landing);
    const fields = passedFields(head.fields, call.site.settings);
    return {
      status: head.status,
      // A 204 has no length either, not even 0 (RFC 9110, 8.6).
      fields: withCacheStatus(isEmpty && !isUnsized ? fields : without(fields, LENGTH), status),
      body: isEmpty ? null : body,
      length: length === null || isEmpty ? null : Number(length),
      from: "origin",
    };
  }
}
