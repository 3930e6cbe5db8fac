/** What a fetch brought, while its body is still on its way. */
import { fieldOf } from "../cache/fields.ts";
import type { BodySource } from "./answer-stored.ts";
import type { Landing } from "./fetching.ts";

export type Fresh = Extract<Landing, { kind: "fresh" }>;

/** The length is said anew: of what is sent. */
export const LENGTH = new Set(["content-length"]);

/** Tells the flow that this body is not read. */
export function release(landing: Landing): void {
  if (landing.kind === "fresh") void landing.body.return?.();
}

export function flowing({ head }: Fresh, body: AsyncIterableIterator<Uint8Array>): BodySource {
  const length = fieldOf(head.fields, "content-length");
  return { length: length === null ? null : Number(length), whole: () => body, part: null };
}
