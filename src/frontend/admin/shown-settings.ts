/** A namespace's settings as clients see them: with lists where the document keeps texts. */
import { readOr } from "../../../core/check.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import { parseCorsOrigins } from "../http/origins.ts";
import { Problem } from "../http/problems.ts";

export function shownSettings({ corsOrigins, ...settings }: NamespaceSettings): object {
  return corsOrigins === undefined
    ? settings
    : { ...settings, corsOrigins: corsOrigins.split(" ") };
}

/**
 * Settings with their origins as the document keeps them; an empty list or null removes them.
 *
 * @throws Problem `invalid-settings`
 */
export function withOrigins(settings: Readonly<Record<string, unknown>>): object {
  const { corsOrigins: given, ...others } = settings;
  if (given === undefined || given === null) return others;
  const isList = Array.isArray(given) && given.every((origin) => typeof origin === "string");
  if (!isList && typeof given !== "string") {
    throw new Problem("invalid-settings", `"corsOrigins" must be a list of origins, or null.`);
  }
  const origins = readOr(
    () => parseCorsOrigins(isList ? given.join(" ") : String(given)),
    (problem) => new Problem("invalid-settings", `"corsOrigins": ${problem}`),
  );
  return origins.length === 0 ? others : { ...others, corsOrigins: origins.join(" ") };
}
