/** Which site a request belongs to: its host decides, exact before `*.suffix` before `*`. */
import { oncePer } from "../../core/once-per.ts";
import type { Site } from "../frontend/backend/backend.ts";

interface Table {
  readonly exact: ReadonlyMap<string, Site>;
  /** With the dot; the longest first. */
  readonly suffixes: readonly (readonly [suffix: string, site: Site])[];
  readonly any: Site | null;
}

/** Of two sites with one host the first by name answers: the same on every frontend. */
const tableOf = oncePer((sites: ReadonlyMap<string, Site>): Table => {
  const exact = new Map<string, Site>();
  const suffixes = new Map<string, Site>();
  let any: Site | null = null;
  for (const [, site] of [...sites].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const host of site.settings.hosts.map((text) => text.toLowerCase())) {
      if (host === "*") any ??= site;
      else if (host.startsWith("*.")) {
        if (!suffixes.has(host.slice(1))) suffixes.set(host.slice(1), site);
      } else if (!exact.has(host)) exact.set(host, site);
    }
  }
  const longestFirst = [...suffixes].sort(([a], [b]) => b.length - a.length);
  return { exact, suffixes: longestFirst, any };
});

const withoutPort = (host: string): string => host.replace(/:\d*$/, "");

/** @param host in lower case; a rule without a port is for every port */
export function siteFor(sites: ReadonlyMap<string, Site>, host: string): Site | null {
  const { exact, suffixes, any } = tableOf(sites);
  const bare = withoutPort(host);
  const found = exact.get(host) ?? exact.get(bare);
  if (found !== undefined) return found;
  return suffixes.find(([suffix]) => bare.endsWith(suffix))?.[1] ?? any;
}
