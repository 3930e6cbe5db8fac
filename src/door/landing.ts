/** What a fetch brought, while its body is still on its way. */
import { fieldOf } from "../cache/fields.ts";
import type { BodySource } from "./answer-stored.ts";
import type { Landing } from "./fetching.ts";

export type Fresh = Extract<Landing, { kind: "fresh" }>;

/** The length is set anew, to that of what is sent. */
export const LENGTH = new Set(["content-length"]);

/** Refusals to store that are about the request, and say nothing of the response. */
const OF_THE_REQUEST: ReadonlySet<string | null> = new Set([
  ...["authorization", "cookie", "request-no-store"],
]);

export type Own = Extract<Landing, { kind: "fresh" | "validated" }>;

/** Whether it is for the asker alone. */
export const isOwn = (landing: Landing): landing is Own =>
  (landing.kind === "fresh" || landing.kind === "validated") && landing.variant === null;

/**
 * Whether it is the origin's answer to everybody, but may not be stored: neither a failure nor a
 * "not now".
 */
export function isLastWord(landing: Landing): landing is Own {
  if (!isOwn(landing)) return false;
  if (landing.kind === "validated") return true;
  const { status } = landing.head;
  return status < 500 && status !== 408 && status !== 429 && !OF_THE_REQUEST.has(landing.detail);
}

/** Tells the flow that this body is not read. */
export function release(landing: Landing): void {
  if (landing.kind === "fresh") void landing.body.return?.();
}

export function flowing({ head }: Fresh, body: AsyncIterableIterator<Uint8Array>): BodySource {
  const length = fieldOf(head.fields, "content-length");
  return { length: length === null ? null : Number(length), whole: () => body, part: null };
}
