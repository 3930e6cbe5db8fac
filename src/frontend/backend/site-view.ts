/** Namespaces that clients see, and the sites, whose namespaces they do not. */

import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import { oncePer } from "../../../core/once-per.ts";
import { isSiteNamespace, parseSite, siteOf } from "../../../core/site.ts";
import type { ClusterView, Site } from "./backend.ts";

type Apart = Pick<ClusterView, "namespaces" | "sites">;

/** Once for each document: it is asked for with every request. */
export const apart = oncePer((all: ReadonlyMap<string, NamespaceSettings>): Apart => {
  const namespaces = new Map<string, NamespaceSettings>();
  const sites = new Map<string, Site>();
  for (const [namespace, stored] of all) {
    if (!isSiteNamespace(namespace)) namespaces.set(namespace, stored);
    const settings = stored.site === undefined ? null : parseSite(stored.site);
    if (!isSiteNamespace(namespace) || settings === null) continue;
    const name = siteOf(namespace);
    sites.set(name, { name, settings, stored });
  }
  return { namespaces, sites };
});
