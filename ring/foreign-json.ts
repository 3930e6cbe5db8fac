/** Small questions to JSON that came from outside, and ways to speak of it in a message. */

const QUOTED_CHARS_MAX = 60;

/** A value of someone else's as one harmless piece of a line: ASCII, escaped and cut. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  const ascii = text.replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return ascii.length <= QUOTED_CHARS_MAX ? ascii : `${ascii.slice(0, QUOTED_CHARS_MAX)}...`;
}

/** The value as a JSON object, or `null`. */
export const asObject = (value: unknown): Readonly<Record<string, unknown>> | null =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;

/** Says which member of an object is not among `known`; `null` when there is no such member. */
export function strangerIn(object: object, known: readonly string[]): string | null {
  const stranger = Object.keys(object).find((name) => !known.includes(name));
  if (stranger === undefined) return null;
  return `${quoted(stranger)} is not known here: remove it, or use one of ${known.join(", ")}`;
}
