/** Which site a request belongs to: its host decides, exact before `*.suffix` before `*`. */
import { assert } from "../../core/assert.ts";
import { oncePer } from "../../core/once-per.ts";
import { firstByHost } from "../../core/site.ts";
import type { Site } from "../frontend/backend/backend.ts";

interface Table {
  readonly exact: ReadonlyMap<string, Site>;
  /** With the dot; the longest first. */
  readonly suffixes: readonly (readonly [suffix: string, site: Site])[];
  readonly any: Site | null;
}

/** Of sites with one host the first answers (see `bySiteOrder`): the same on every frontend. */
const tableOf = oncePer((sites: ReadonlyMap<string, Site>): Table => {
  const exact = new Map<string, Site>();
  const suffixes: [suffix: string, site: Site][] = [];
  let any: Site | null = null;
  const named = [...sites.values()].map(({ name, settings }) => ({ name, hosts: settings.hosts }));
  for (const [host, name] of firstByHost(named)) {
    const site = sites.get(name);
    assert(site !== undefined, "a site is known by its name");
    if (host === "*") any = site;
    else if (host.startsWith("*.")) suffixes.push([host.slice(1), site]);
    else exact.set(host, site);
  }
  suffixes.sort(([a], [b]) => b.length - a.length);
  return { exact, suffixes, any };
});

const withoutPort = (host: string): string => host.replace(/:\d*$/, "");

const DEFAULT_PORTS = { http: [":80"], https: [":443"] } as const;
const EITHER = [...DEFAULT_PORTS.http, ...DEFAULT_PORTS.https];

/**
 * A rule without a port is for every port.
 *
 * @param host in lower case, without the port of its scheme; that is how a rule may name it too
 * @param scheme null: either
 */
export function siteFor(
  sites: ReadonlyMap<string, Site>,
  host: string,
  scheme: "http" | "https" | null = null,
): Site | null {
  const { exact, suffixes, any } = tableOf(sites);
  const bare = withoutPort(host);
  const ports = scheme === null ? EITHER : DEFAULT_PORTS[scheme];
  const spellings = bare === host ? [...ports.map((port) => `${host}${port}`), bare] : [host, bare];
  for (const spelling of spellings) {
    const found = exact.get(spelling);
    if (found !== undefined) return found;
  }
  const isOf = (suffix: string): boolean => spellings.some((text) => text.endsWith(suffix));
  return suffixes.find(([suffix]) => isOf(suffix))?.[1] ?? any;
}
