/** `/v1/sites`: the origins that the cache door stands in front of. */

import { Hono } from "hono";
import { readOr } from "../../../core/check.ts";
import { VALUE_BYTES_MAX } from "../../../core/limits.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import { checkSite, isSiteName, siteNamespace } from "../../../core/site.ts";
import { checkSettings } from "../../../ring/cluster-document.ts";
import type { Backend, ClusterView, Site } from "../backend/backend.ts";
import { type Call, type RouteParts, rawRest, type StarlingEnv } from "../backend/call.ts";
import { run } from "../backend/run.ts";
import { readJson } from "../http/json-body.ts";
import { percentDecode } from "../http/key-path.ts";
import { Problem, problemOf } from "../http/problems.ts";

/** Members of a site that are about the ring: how many replicas are looked up in and stored to. */
const STORED = ["n", "r", "w", "dw", "maxBytes"] as const;

const isStored = (member: string): boolean => STORED.some((name) => name === member);
const invalid = (detail: string): Problem => new Problem("invalid-settings", detail);

/** @throws Problem `not-found` for a name that no site can have */
function siteName(rest: string): string {
  const refuse = (): Problem => new Problem("not-found", "There is no such site.");
  const name = percentDecode(rest, refuse);
  if (!isSiteName(name)) {
    const words =
      "A site's name has 1 to 48 of A-Z a-z 0-9 _ - . and begins with a letter or digit.";
    throw new Problem("invalid-key", words);
  }
  return name;
}

/** The site as the API shows it. */
export function shownSite({ name, settings, stored }: Site): Record<string, unknown> {
  const { n, r, w, dw, maxBytes } = stored;
  return { name, ...settings, n, r, w, dw, maxBytes };
}

/**
 * What is kept of a site, from what a client gave: defaults filled in, all of it checked.
 *
 * @throws Problem `invalid-settings` with the member and the mend
 */
export function siteSettings(value: unknown, view: ClusterView): NamespaceSettings {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("A site is a JSON object.");
  }
  const members = Object.entries(value as Record<string, unknown>).filter(
    ([name]) => name !== "name",
  );
  const ofSite = Object.fromEntries(members.filter(([name]) => !isStored(name)));
  const ofRing = Object.fromEntries(members.filter(([name]) => isStored(name)));
  const site = readOr(() => checkSite(ofSite), invalid);
  if (!URL.canParse(site.origin))
    throw invalid('"origin" must be a base URL with a host of its own.');
  const settings = {
    ...{ n: view.defaults.n, r: 1, w: 1, dw: 0, maxBytes: null },
    ...ofRing,
    ...{ ttl: null, maxValueBytes: VALUE_BYTES_MAX, trustedContent: false },
    site: JSON.stringify(site),
  };
  return readOr(() => checkSettings(settings, view.ring.memberIds.length), invalid);
}

/** @throws Problem when too few members agree */
export async function keepSite(
  backend: Backend,
  name: string,
  settings: NamespaceSettings | null,
): Promise<{ readonly created: boolean }> {
  const namespace = siteNamespace(name);
  return run(backend, { kind: "configure", namespace, settings });
}

interface SiteRouteParts extends RouteParts {
  readonly fixesOriginHost: boolean;
}

async function put(
  backend: Backend,
  name: string,
  { request, fixesOriginHost }: { readonly request: Request; readonly fixesOriginHost: boolean },
): Promise<Response> {
  const value = await readJson(request);
  const settings = siteSettings(value, backend.view());
  if (fixesOriginHost && (value as { readonly originHost?: unknown }).originHost === "client") {
    throw invalid('"originHost" is "origin" on Workers: the platform sets Host by the URL.');
  }
  const known = (await backend.freshView()).sites.has(name);
  await keepSite(backend, name, settings);
  return Response.json(shown(backend, name), { status: known ? 200 : 201 });
}

/** @throws Problem `not-found` */
function shown(backend: Backend, name: string): Record<string, unknown> {
  const site = backend.view().sites.get(name);
  if (site === undefined) throw new Problem("not-found", "There is no such site.");
  return shownSite(site);
}

/** What it has stored is purged first: a site of that name that comes later begins empty. */
async function remove(backend: Backend, name: string): Promise<Response> {
  const { sites } = await backend.freshView();
  if (!sites.has(name)) throw new Problem("not-found", "There is no such site.");
  const namespace = siteNamespace(name);
  const what = { everything: true } as const;
  const purged = await backend.execute({ kind: "purge", namespace, what }, "");
  if (purged.kind === "failed") throw problemOf(purged.failure, true);
  await keepSite(backend, name, null);
  return new Response(null, { status: 204 });
}

/** What the cache door of this process is refreshing behind its answers. */
function shownRefreshes({ refreshes }: Backend): Record<string, unknown> {
  const shown = (refreshes?.() ?? []).map(({ site, url, since }) => {
    return { site, url, since: new Date(since).toISOString() };
  });
  return { refreshes: shown };
}

const admin = () => ({ role: "admin", namespace: null }) as const;
const SITES = "/v1/sites/";

export function siteRoutes(parts: SiteRouteParts): Hono<StarlingEnv> {
  const { backendOf, guarded, fixesOriginHost } = parts;
  const nameOf = (call: Call): string => siteName(rawRest(call, SITES));
  const app = new Hono<StarlingEnv>();
  app.get(
    "/v1/sites",
    guarded(admin, async (call) => {
      const { sites } = await backendOf(call).freshView();
      const sorted = [...sites.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      return Response.json({ sites: sorted.map(shownSite) });
    }),
  );
  app.get(
    "/v1/cluster/refreshes",
    guarded(admin, (call) => Response.json(shownRefreshes(backendOf(call)))),
  );
  app.get(
    `${SITES}:name`,
    guarded(admin, async (call) => {
      const name = nameOf(call);
      await backendOf(call).freshView();
      return Response.json(shown(backendOf(call), name));
    }),
  );
  app.put(
    `${SITES}:name`,
    guarded(admin, (call) =>
      put(backendOf(call), nameOf(call), { request: call.req.raw, fixesOriginHost }),
    ),
  );
  app.delete(
    `${SITES}:name`,
    guarded(admin, (call) => remove(backendOf(call), nameOf(call))),
  );
  return app;
}
