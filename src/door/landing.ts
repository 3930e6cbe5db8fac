/** What a fetch brought, while its body is still on its way. */
import { fieldOf } from "../cache/fields.ts";
import { isOfRequest } from "../cache/storing.ts";
import type { BodySource } from "./answer-stored.ts";
import type { Landing } from "./fetching.ts";

export type Fresh = Extract<Landing, { kind: "fresh" }>;

/** The length is set anew, to that of what is sent. */
export const LENGTH = new Set(["content-length"]);

export type Own = Extract<Landing, { kind: "fresh" | "validated" }>;

/** Whether it is for the asker alone. */
export const isOwn = (landing: Landing): landing is Own =>
  (landing.kind === "fresh" || landing.kind === "validated") && landing.variant === null;

/** Whether the origin failed, or says "not now". */
export function isFailure(landing: Landing): boolean {
  if (landing.kind === "stale") return true;
  if (landing.kind !== "fresh" || landing.variant !== null) return false;
  const { status } = landing.head;
  return status >= 500 || status === 408 || status === 429;
}

/** Whether it is the origin's answer to all, and may not be stored. */
export const isLastWord = (landing: Landing): landing is Own =>
  isOwn(landing) && !isFailure(landing) && !isOfRequest(landing.detail);

/** Tells the flow that this body is not read. */
export function release(landing: Landing): void {
  if (landing.kind === "fresh") void landing.body.return?.();
}

export function flowing({ head }: Fresh, body: AsyncIterableIterator<Uint8Array>): BodySource {
  const length = fieldOf(head.fields, "content-length");
  return { length: length === null ? null : Number(length), whole: () => body, part: null };
}
