/** Origins of pages (RFC 6454), as a deployment and a namespace name them. */
import { CodecError } from "../../../core/check.ts";

const ANY = "*";

/**
 * Origins from a text, between commas or blanks; `*` stands for any.
 *
 * @throws CodecError with one sentence that says what to mend
 */
export function parseCorsOrigins(text: string): readonly string[] {
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  const bad = parts.find((part) => part !== ANY && !isOrigin(part));
  const how = "write https://HOST or http://HOST:PORT, without a path.";
  if (bad !== undefined) throw new CodecError(`"${bad}" is no origin: ${how}`);
  return parts.map((part) => part.toLowerCase());
}

function isOrigin(text: string): boolean {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return false;
  return new URL(text).origin === text.toLowerCase();
}

/** Whether pages of that very origin are named: `*` names nobody. */
export function isNamed(origins: readonly string[], origin: string | null | undefined): boolean {
  return typeof origin === "string" && origins.includes(origin.toLowerCase());
}

/** Whether pages of that origin may read: it is named, or `*` stands for any. */
export const mayRead = (origins: readonly string[], origin: string): boolean =>
  origins.includes(ANY) || isNamed(origins, origin);
