/** What operators ask: members, ring, one key's replicas, namespaces, background work now. */
import { readOr } from "../../../core/check.ts";
import { contextOfAll, etagOf, liveSiblings, standingIn } from "../../../core/entry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { compareUtf8, storeKey } from "../../../core/keys.ts";
import { LIST_NAMESPACES_MAX } from "../../../core/limits.ts";
import type { ReplicaReport, StatusResult } from "../../../core/results.ts";
import type { WallMillis } from "../../../core/time.ts";
import { checkSettings, impossibleSettings } from "../../../ring/cluster-document.ts";
import type { RingDocument } from "../../../ring/ring-document.ts";
import type { Backend } from "../backend/backend.ts";
import { run } from "../backend/run.ts";
import { settingsOf } from "../data/data-plane.ts";
import { contextToToken } from "../http/context-token.ts";
import { readFields, readJson } from "../http/json-body.ts";
import { Problem } from "../http/problems.ts";
import { shownScrub } from "./scrub-plane.ts";
import { shownSettings, withOrigins } from "./shown-settings.ts";
import { shownTraffic } from "./shown-traffic.ts";
import { type RingBody, verdictOf } from "./verdict.ts";

const isoOrNull = (at: WallMillis | null = null): string | null =>
  at === null ? null : new Date(at).toISOString();

/** By member, when any other last noticed that two processes run under its id. */
function lastDuplicates({ members }: StatusResult): ReadonlyMap<string, WallMillis> {
  const last = new Map<string, WallMillis>();
  for (const [, status] of members) {
    for (const [id, at] of status?.duplicates ?? []) last.set(id, Math.max(at, last.get(id) ?? 0));
  }
  return last;
}

const ringBody = ({ version, partitions, members, assignment }: RingDocument): RingBody => ({
  version,
  partitions,
  members: members.map(({ id, zone, weight }) => ({ id, zone, weight })),
  assignment,
});

export class ClusterPlane {
  readonly #backend: Backend;
  readonly #hash: KeyedHash;

  constructor(backend: Backend, hash: KeyedHash) {
    this.#backend = backend;
    this.#hash = hash;
  }

  async cluster(): Promise<Response> {
    const view = await this.#backend.freshView();
    const { ring } = view;
    const result = await run(this.#backend, { kind: "status" });
    const statuses = new Map(result.members);
    const duplicates = lastDuplicates(result);
    const members = ring.memberIds.map((id) => {
      const { zone = "", url = "" } = ring.member(id) ?? {};
      const status = statuses.get(id) ?? null;
      const lastAntiEntropy = (status?.lastAntiEntropy ?? []).map(([peer, at]) => [
        peer,
        new Date(at).toISOString(),
      ]);
      return {
        id,
        zone,
        url,
        version: view.refusedVersions.get(id) ?? status?.version ?? null,
        incompatible: view.refusedVersions.has(id),
        state: ring.stateOf(id),
        reachable: status !== null,
        startedAt: isoOrNull(status?.startedAt),
        unreachableSince: status === null ? isoOrNull(result.awaySince?.get(id)) : null,
        partitionsOwned: this.#partitionsOwned(id),
        keys: status?.keyCount ?? null,
        bytes: status?.byteCount ?? null,
        deadKeys: status?.deadKeyCount ?? null,
        deadBytes: status?.deadByteCount ?? null,
        hintsHeld: Object.fromEntries(status?.hintsHeld ?? []),
        oldestHintAt: isoOrNull(status?.oldestHintAt),
        lastAntiEntropy: Object.fromEntries(lastAntiEntropy),
        duplicateSeenAt: isoOrNull(duplicates.get(id)),
        scrub: shownScrub(status?.scrub),
        traffic: shownTraffic(status?.traffic),
      };
    });
    const { name, version: ringVersion, partitions } = ring.document;
    const { version, defaults } = view;
    const body = { name, ringVersion, partitions, version, defaults, members };
    return Response.json({ ...body, verdict: verdictOf(body, ringBody(ring.document)) });
  }

  async ring(): Promise<Response> {
    const { ring } = await this.#backend.freshView();
    return Response.json(ringBody(ring.document));
  }

  /** What was purged, for as long as something that a purge covers may still turn up. */
  async purges(): Promise<Response> {
    const { purges } = await this.#backend.freshView();
    return Response.json({ purges: [...purges.known()] });
  }

  async explain(namespace: string, key: string): Promise<Response> {
    const name = storeKey(namespace, key);
    const result = await run(this.#backend, { kind: "explain", key: name });
    const replicas = result.replicas.map((report) => this.#replica(report, name));
    const { partition, preferenceList, n } = result;
    return Response.json({ partition, preferenceList, n, replicas });
  }

  async antiEntropy(request: Request): Promise<Response> {
    const { replica = null } = await readFields(request, ["replica"]);
    const { memberIds } = this.#backend.view().ring;
    if (replica !== null && !memberIds.some((id) => id === replica)) {
      const detail = `"replica" must be one of ${memberIds.join(", ")}.`;
      throw new Problem("invalid-request", detail);
    }
    const startedAt = performance.now();
    const operation = { kind: "anti-entropy", replica: replica as string | null } as const;
    const { kind: _, ...totals } = await run(this.#backend, operation);
    return Response.json({ ...totals, ms: Math.round(performance.now() - startedAt) });
  }

  async handoff(request: Request): Promise<Response> {
    await readFields(request, []);
    const { delivered, pending } = await run(this.#backend, { kind: "handoff" });
    return Response.json({ delivered, pending });
  }

  /** Makes a replica that lost what it had serve without those that it waits for in vain. */
  async acceptLoss(request: Request): Promise<Response> {
    const body = await readFields(request, ["replica"]);
    const { memberIds } = this.#backend.view().ring;
    const replica = memberIds.find((id) => id === body.replica);
    if (replica === undefined) {
      const detail = `"replica" must be one of ${memberIds.join(", ")}.`;
      throw new Problem("invalid-request", detail);
    }
    const result = await run(this.#backend, { kind: "accept-loss", replica });
    const { partitionCount: partitions, waitedFor } = result;
    return Response.json({ replica, partitions, waitedFor });
  }

  /**
   * Those that somebody created, and every other that holds a value, by name.
   *
   * @param own the namespaces that the caller may know of; null: all
   */
  async namespaces(own: ReadonlySet<string> | null): Promise<Response> {
    const view = await this.#backend.freshView();
    const byteCounts = await this.#namesWithKeys();
    const names = new Set([...view.namespaces.keys(), ...byteCounts.keys()]);
    const namespaces = [...names]
      .filter((name) => own === null || own.has(name))
      .sort(compareUtf8)
      .map((name) => {
        const created = view.namespaces.has(name);
        return { name, ...shownSettings(settingsOf(view, name)), created };
      });
    // Apart from the settings, which clients give back as they got them.
    const bytes = Object.fromEntries(
      namespaces.map(({ name }) => [name, byteCounts.has(name) ? byteCounts.get(name) : 0]),
    );
    return Response.json({ namespaces, bytes });
  }

  /** What the values of each take up, all copies together; null where no member says it. */
  async #namesWithKeys(): Promise<ReadonlyMap<string, number | null>> {
    const all = new Map<string, number | null>();
    for (let after = ""; ; ) {
      const page = { kind: "namespaces", after, limit: LIST_NAMESPACES_MAX } as const;
      const { names, byteCounts, complete } = await run(this.#backend, page);
      for (const name of names) all.set(name, byteCounts.get(name) ?? null);
      const last = names.at(-1);
      if (complete || last === undefined) return all;
      after = last;
    }
  }

  async namespace(name: string): Promise<Response> {
    return Response.json(shownSettings(settingsOf(await this.#backend.freshView(), name)));
  }

  /** Members that the body leaves out keep their values. */
  async configure(name: string, request: Request): Promise<Response> {
    const view = this.#backend.view();
    const body = await readJson(request);
    const current = settingsOf(view, name);
    if (typeof body !== "object" || body === null || Array.isArray(body)) {
      throw new Problem("invalid-settings", "Settings are a JSON object.");
    }
    const names = new Set([...Object.keys(current), "corsOrigins"]);
    const unknown = Object.keys(body).find((member) => !names.has(member));
    if (unknown !== undefined) {
      const known = [...names].join(", ");
      throw new Problem("invalid-settings", `Unknown member. Settings have ${known}.`, {
        extras: { option: unknown.slice(0, 40) },
      });
    }
    const merged = withOrigins({ ...current, ...body });
    const invalid = (problem: string): Problem => new Problem("invalid-settings", problem);
    const settings = readOr(() => checkSettings(merged, view.ring.memberIds.length), invalid);
    const wrong = impossibleSettings(settings);
    if (wrong !== null) throw invalid(wrong);
    const operation = { kind: "configure", namespace: name, settings } as const;
    const { created } = await run(this.#backend, operation);
    return Response.json(shownSettings(settings), { status: created ? 201 : 200 });
  }

  #partitionsOwned(id: string): number {
    const { assignment } = this.#backend.view().ring.document;
    return assignment.filter((primaries) => primaries.includes(id)).length;
  }

  #replica(
    { id, role, reachable, entry, hintFor, byteCount }: ReplicaReport,
    key: string,
  ): unknown {
    if (entry === null) return { id, role, reachable, entry: null };
    const now = this.#backend.now();
    const live = liveSiblings(entry, now);
    const left = standingIn(entry);
    const expiresAt = live[0]?.expiresAt ?? 0;
    return {
      id,
      role,
      reachable,
      entry: {
        etag: etagOf(left, this.#hash),
        context: contextToToken({ hash: this.#hash, key }, contextOfAll(entry)),
        siblings: live.length,
        tombstone: left.some((sibling) => sibling.content === null),
        expiresAt: expiresAt === 0 ? null : new Date(expiresAt).toISOString(),
        bytes: byteCount,
        hintFor,
      },
    };
  }
}
