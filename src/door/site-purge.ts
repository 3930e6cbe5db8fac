/** `POST /v1/purge` with `"site"`: what a site stored is gone, or stale. */
import { utf8Length } from "../../core/keys.ts";
import { KEY_BYTES_MAX, URLS_COUNT_MAX } from "../../core/limits.ts";
import type { PurgeOperation } from "../../core/operations.ts";
import { isSiteName, siteNamespace } from "../../core/site.ts";
import type { WallMillis } from "../../core/time.ts";
import type { Site } from "../frontend/backend/backend.ts";
import {
  type Purged,
  type PurgeSite,
  purgedAnswer,
  runPurge,
  type SitePurge,
} from "../frontend/data/run-purge.ts";
import { requireAccess } from "../frontend/http/auth.ts";
import { Problem } from "../frontend/http/problems.ts";
import { prefixesOf, prefixOfUrl, purgeKeys, urlPurge } from "./purging.ts";
import { StoreError } from "./store-errors.ts";

const invalid = (detail: string): Problem => new Problem("invalid-request", detail);

/** For a frontend, see `PurgeSite`. */
export const purgeSite: PurgeSite = async (parts, { site: name, soft, urls, ...rest }) => {
  if (typeof name !== "string" || !isSiteName(name)) throw invalid(`"site" must name a site.`);
  if (soft !== undefined && typeof soft !== "boolean") {
    throw invalid(`"soft" must be true or false.`);
  }
  const { backend, grant } = parts;
  const namespace = siteNamespace(name);
  requireAccess(grant, { role: "write", namespace });
  const site = backend.view().sites.get(name) ?? (await backend.freshView()).sites.get(name);
  if (site === undefined) throw new Problem("not-found", "There is no such site.");
  const softly = soft === true ? ({ soft: true } as const) : {};
  if (urls !== undefined) {
    if (Object.keys(rest).length > 0) throw invalid(`Name one thing: "urls", or something else.`);
    return purgeUrls(parts, { site, urls, softly });
  }
  if (Object.keys(rest).length === 0) {
    throw invalid(
      `Name one thing: "urls": [...], "tags": [...], "prefix": "..." or "everything": true.`,
    );
  }
  const what = parts.whatOf(rest);
  if (!("prefix" in what))
    return purgedAnswer(await runPurge(parts, { namespace, what, ...softly }));
  const prefixes = prefixesOf(what.prefix);
  if (prefixes === null) throw invalid(`"prefix" must begin with http://, https:// or /.`);
  if (prefixes.some((prefix) => utf8Length(prefix) > KEY_BYTES_MAX)) {
    throw invalid(`"prefix" must have ${KEY_BYTES_MAX} bytes at most, as requests have it.`);
  }
  const all = prefixes.map((prefix) => ({ namespace, what: { prefix }, ...softly }));
  return purgedAnswer(await runPurges(parts, all));
};

/** The last answer of several, with the lowest count of members that know one of them. */
async function runPurges(
  parts: SitePurge,
  operations: readonly Omit<PurgeOperation, "kind">[],
): Promise<Purged> {
  let last: Purged | null = null;
  for (const operation of operations) {
    const one = await runPurge(parts, operation);
    const learntCount = Math.min(one.learntCount, last?.learntCount ?? one.learntCount);
    last = { ...one, learntCount };
  }
  if (last === null) throw invalid(`"urls" must name something.`);
  return last;
}

/** @throws Problem */
async function purgeUrls(
  parts: SitePurge,
  of: { readonly site: Site; readonly urls: unknown; readonly softly: { readonly soft?: true } },
): Promise<Response> {
  const { site, urls, softly } = of;
  const isList = Array.isArray(urls) && urls.length > 0 && urls.length <= URLS_COUNT_MAX;
  const purges = isList
    ? urls.map((url) => (typeof url === "string" ? urlPurge(url, site) : null))
    : [];
  if (!isList || purges.some((purge) => purge === null)) {
    const each = "an absolute URL, or a path that begins with /";
    throw invalid(`"urls" must be a list of 1 to ${URLS_COUNT_MAX}, each ${each}.`);
  }
  const { backend } = parts;
  const keys = [...new Set(purges.flatMap((purge) => purge?.keys ?? []))];
  const epochs = purges.flatMap((purge) => purge?.epochs ?? []);
  let until: WallMillis = backend.now();
  try {
    until = await purgeKeys(backend, site, { keys, isSoft: softly.soft === true });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    // An owner is away. When it is back, any member that knows tells it what it must not give.
    epochs.push(...keys.map(prefixOfUrl));
  }
  const namespace = siteNamespace(site.name);
  const operations = epochs.map((what) => ({ namespace, what, ...softly }));
  const { n } = site.stored;
  const byKeys: Purged = { kind: "purged", until, learntCount: n, memberCount: n };
  const done = operations.length === 0 ? byKeys : await runPurges(parts, operations);
  return purgedAnswer(done, { urls: purges.length });
}
