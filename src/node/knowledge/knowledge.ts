/**
 * What a node knows of the cluster: the document, the ring made from it, and who seems to be alive.
 * Plain state without any call in flight, so that on Workers all requests of an isolate share one.
 */

import type { TreeName } from "../../../antientropy/merkle-tree.ts";
import { assert } from "../../../core/assert.ts";
import { CodecError } from "../../../core/check.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import { oncePer } from "../../../core/once-per.ts";
import { PurgeIndex } from "../../../core/purges.ts";
import {
  majority,
  type QuorumOptions,
  QuorumResolver,
  type QuorumRules,
  type Resolution,
  resolveOptions,
} from "../../../core/quorum-options.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis, WallMillis } from "../../../core/time.ts";
import { Traffic } from "../../../core/traffic.ts";
import { PROGRAM_VERSION, type Speech } from "../../../core/version.ts";
import type { Candidate } from "../../../replica/candidate.ts";
import type { Place } from "../../../replica/keeper-parts.ts";
import {
  type ClusterDocument,
  changingIn,
  isStill,
  mergeDocuments,
  namespaceAcksIn,
  purgesOf,
  sizesOf,
  stampOf,
  treesByCount,
} from "../../../ring/cluster-document.ts";
import { Liveness } from "../../../ring/liveness.ts";
import type { NamespaceChange } from "../../../ring/namespace-record.ts";
import type { KeyHasher } from "../../../ring/partition.ts";
import { Ring, sameCluster } from "../../../ring/ring.ts";
import { ClusterClock } from "./cluster-clock.ts";
import { newCounters } from "./counters.ts";
import { FeedSilence } from "./feed-silence.ts";
import { Latencies } from "./latencies.ts";
import { PeerTimes } from "./peer-times.ts";

/** Apart from the ring's seed, so that a tree's leaves do not follow from the partition. */
const LEAF_SEED = 0x5eafn;

export interface KnowledgeParts {
  readonly document: ClusterDocument;
  readonly hash: KeyedHash;
  readonly keyHasher: KeyHasher;
  readonly defaults: NamespaceSettings;
  readonly timeoutMs: number;
  /** Where this node stands, by the ring in force: `local_quorum` counts that zone's replicas. */
  readonly zoneIn: (ring: Ring) => string;
  readonly about?: About;
}

/** What this node's process says of itself. */
export interface About {
  /** The program's version. */
  readonly version: string;
  /** By its own clock; null where it has no process of its own. */
  readonly startedAt: WallMillis | null;
}

/** Where candidates are looked at from. */
interface Near {
  readonly self: ReplicaId | null;
  readonly now: Millis;
  /** For `local_quorum`: the zone whose replicas come first. */
  readonly zone: string | null;
}

function settingsIn({ namespaces }: ClusterDocument): ReadonlyMap<string, NamespaceSettings> {
  const known = new Map<string, NamespaceSettings>();
  for (const [name, { settings }] of namespaces) if (settings !== null) known.set(name, settings);
  return known;
}

function withoutAcks(document: ClusterDocument): ClusterDocument {
  const { change } = document.ring;
  if (change === undefined) return document;
  return { ...document, ring: { ...document.ring, change: { ...change, acks: [] } } };
}

const changesIn = (document: ClusterDocument): ReadonlyMap<string, NamespaceChange> =>
  new Map(changingIn(document).flatMap(([name, { change }]) => (change ? [[name, change]] : [])));

const NOBODY: readonly Candidate[] = [];

export class Knowledge {
  readonly defaults: NamespaceSettings;
  readonly hash: KeyedHash;
  readonly liveness = new Liveness();
  readonly latencies = new Latencies();
  readonly clusterClock = new ClusterClock();
  readonly peerTimes = new PeerTimes();
  readonly counters = newCounters();
  /** What this node's process answered to clients. */
  readonly traffic = new Traffic();
  readonly feedSilence = new FeedSilence();
  readonly about: About;
  /** Members that speak too old or too new a protocol, and what they say of themselves. */
  readonly refusedVersions = new Map<ReplicaId, Speech>();
  /** How long a request lasts unless it says otherwise, in ms. */
  readonly timeoutMs: number;
  readonly #keyHasher: KeyHasher;
  readonly #zoneIn: (ring: Ring) => string;
  #zone: string;
  #document: ClusterDocument;
  #ring: Ring;
  #stamp: number;
  /** Computed when it is asked for. */
  #routeStamp: number | null = null;
  #purges: PurgeIndex;
  #namespaces: ReadonlyMap<string, NamespaceSettings>;
  /** Of the namespaces whose N changes. */
  #changes: ReadonlyMap<string, NamespaceChange>;
  /** By pair of replicas, until the document changes: to find them takes a walk over all lists. */
  readonly #sharedTrees = new Map<string, readonly TreeName[]>();
  readonly #resolverOf = oncePer(({ n, r, w, dw }: NamespaceSettings) => {
    const { timeoutMs } = this;
    return new QuorumResolver({ n, r, w, dw, timeoutMs });
  });

  constructor(parts: KnowledgeParts) {
    this.hash = parts.hash;
    this.defaults = parts.defaults;
    this.#zoneIn = parts.zoneIn;
    this.about = parts.about ?? { version: PROGRAM_VERSION, startedAt: null };
    this.timeoutMs = parts.timeoutMs;
    this.#keyHasher = parts.keyHasher;
    this.#document = parts.document;
    this.#ring = new Ring(parts.document.ring, parts.keyHasher);
    this.#zone = parts.zoneIn(this.#ring);
    this.#stamp = stampOf(parts.document, parts.hash);
    this.#purges = new PurgeIndex(purgesOf(parts.document));
    this.#namespaces = settingsIn(parts.document);
    this.#changes = changesIn(parts.document);
  }

  get document(): ClusterDocument {
    return this.#document;
  }

  /** The settings of the namespaces that somebody created. */
  get namespaces(): ReadonlyMap<string, NamespaceSettings> {
    return this.#namespaces;
  }

  /** Of the namespaces whose N changes just now. */
  get changes(): ReadonlyMap<string, NamespaceChange> {
    return this.#changes;
  }

  get ring(): Ring {
    return this.#ring;
  }

  /** Where this node stands; empty where nobody can say. */
  get zone(): string {
    return this.#zone;
  }

  /** What was purged; a new object as soon as that changes. */
  get purges(): PurgeIndex {
    return this.#purges;
  }

  get stamp(): number {
    return this.#stamp;
  }

  /** It stays while only acknowledgements of a change come in: requests go the same ways. */
  get routeStamp(): number {
    this.#routeStamp ??= stampOf(withoutAcks(this.#document), this.hash);
    return this.#routeStamp;
  }

  /**
   * Joins another node's document into this one's; true when that changed anything.
   *
   * @throws CodecError for a document of another cluster
   */
  learn(document: ClusterDocument): boolean {
    if (!sameCluster(document.ring, this.#document.ring)) {
      throw new CodecError("a cluster document of another name, seed or number of partitions");
    }
    const merged = mergeDocuments(this.#document, document);
    // Mostly what is told is known here already, or is behind: that is seen at once.
    if (isStill(this.#document, merged)) return false;
    const stamp = stampOf(merged, this.hash);
    const isAgreed = merged.ring.isProvisional !== this.#document.ring.isProvisional;
    const hasMoreAcks = namespaceAcksIn(merged) > namespaceAcksIn(this.#document);
    if (stamp === this.#stamp && !isAgreed && !hasMoreAcks) return false;
    if (merged.ring !== this.#document.ring) {
      this.#ring = new Ring(merged.ring, this.#keyHasher);
      this.#zone = this.#zoneIn(this.#ring);
    }
    const purges = purgesOf(merged);
    if (purges !== purgesOf(this.#document)) this.#purges = new PurgeIndex(purges);
    this.#document = merged;
    this.#stamp = stamp;
    this.#routeStamp = null;
    this.#namespaces = settingsIn(merged);
    this.#changes = changesIn(merged);
    this.#sharedTrees.clear();
    return true;
  }

  readonly settingsOf = (namespace: string): NamespaceSettings =>
    this.#namespaces.get(namespace) ?? this.defaults;

  /** Where a key belongs: its partition, how many primaries it has, its leaf in the Merkle tree. */
  readonly placeOf = (key: StoreKey, partition = this.#ring.partitionOf(key)): Place => ({
    partition,
    n: this.settingsOf(namespaceOf(key)).n,
    leaf: Number(this.#keyHasher.h64(key, LEAF_SEED) & 255n),
  });

  /** Every N that some namespace has. */
  get sizes(): readonly number[] {
    return sizesOf(this.#document);
  }

  /** By each N that requests count by, every N of the trees that those keys are in. */
  get treesByCount(): ReadonlyMap<number, readonly number[]> {
    return treesByCount(this.#document);
  }

  /** The trees of which both replicas are owners, and so must hold the same. */
  sharedTrees(a: ReplicaId, b: ReplicaId): readonly TreeName[] {
    const pair = `${a}\0${b}`;
    const trees = this.#sharedTrees.get(pair) ?? this.#findSharedTrees(a, b);
    this.#sharedTrees.set(pair, trees);
    return trees;
  }

  #findSharedTrees(a: ReplicaId, b: ReplicaId): readonly TreeName[] {
    const { sizes } = this;
    const ring = this.#ring;
    const trees: TreeName[] = [];
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      for (const n of sizes) {
        const areOwners = ring.isOwner(a, partition, n) && ring.isOwner(b, partition, n);
        if (areOwners) trees.push({ partition, n });
      }
    }
    return trees;
  }

  /** What a request's options come to. */
  resolve(key: StoreKey, options: QuorumOptions): Resolution {
    const namespace = namespaceOf(key);
    if (this.#changes.has(namespace)) return this.#resolveWhileChanging(namespace, options);
    const resolver = this.#resolverOf(this.settingsOf(namespace));
    return resolver.resolve(options, this.#ring.zones.length);
  }

  /**
   * While a namespace's N changes, requests count by what reads may rely on. A request that names a
   * larger number of replicas itself gets them: they begin with the same ones.
   */
  #resolveWhileChanging(namespace: string, options: QuorumOptions): Resolution {
    const { n: target, r, w, dw } = this.settingsOf(namespace);
    const named = [options.n, options.r, options.w, options.pr, options.pw];
    const most = Math.max(...named.map((value) => (typeof value === "number" ? value : 0)));
    const n = Math.max(this.countedOf(namespace), Math.min(most, target));
    const defaults = { n, r, w, dw, timeoutMs: this.timeoutMs };
    return resolveOptions(options, defaults, this.#ring.zones.length);
  }

  /** The N by which requests count: not yet that of the settings while it is being filled. */
  countedOf(namespace: string): number {
    const change = this.#changes.get(namespace);
    return change?.phase === "filling" ? change.from : this.settingsOf(namespace).n;
  }

  /** The larger one of the two that a namespace's N changes between; else N. */
  widestOf(namespace: string): number {
    return Math.max(this.settingsOf(namespace).n, this.#changes.get(namespace)?.from ?? 0);
  }

  /**
   * The replicas that a request may ask, in that order: the healthy before the suspected, then
   * primaries before fallbacks, then the nearest; this node itself counts as nearest of all.
   */
  candidates(
    partition: number,
    rules: Pick<QuorumRules, "n" | "sloppy" | "local">,
    from: { readonly self: ReplicaId | null; readonly now: Millis; readonly zone?: string },
  ): readonly Candidate[] {
    const { self, now, zone = this.#zone } = from;
    const list = this.#ring.preferenceList(partition);
    const count = rules.sloppy ? list.length : rules.n;
    const candidates: Candidate[] = [];
    for (let i = 0; i < count; i++) {
      const id = list[i];
      if (id === undefined) break;
      const isSuspect = id !== self && this.liveness.isSuspect(id);
      candidates.push({ id, isPrimary: i < rules.n, zone: this.#ring.zoneOf(id), isSuspect });
    }
    assert(candidates.length > 0, "a ring has members");
    return this.#sorted(candidates, { self, now, zone: rules.local ? zone : null });
  }

  /** While members or N change: the further owners that a write of this many primaries goes to. */
  pending(key: StoreKey, n: number): readonly Candidate[] {
    const partition = this.#ring.partitionOf(key);
    const more = this.#ring.pendingOf(partition, n);
    if (more.length === 0 && this.#changes.size === 0) return NOBODY;
    const namespace = namespaceOf(key);
    // A client that named a smaller n of its own wants no more than that.
    const isPartial = n < this.countedOf(namespace);
    const widest = isPartial || !this.#changes.has(namespace) ? n : this.widestOf(namespace);
    const owners = this.#ring.preferenceList(partition).slice(n, widest);
    return [...more, ...owners.filter((id) => !more.includes(id))].map(this.#asPrimary);
  }

  /** Everybody to whom a write of this many primaries goes. */
  owners(key: StoreKey, n: number): readonly Candidate[] {
    const primaries = this.#ring.primariesOf(this.#ring.partitionOf(key), n);
    return [...primaries.map(this.#asPrimary), ...this.pending(key, n)];
  }

  readonly #asPrimary = (id: ReplicaId): Candidate => ({
    id,
    isPrimary: true,
    zone: this.#ring.zoneOf(id),
    isSuspect: this.liveness.isSuspect(id),
  });

  /**
   * While N changes and a write of this many primaries has the longer list already: how many more
   * acknowledgements it waits for, so that it meets every quorum by the shorter one.
   */
  extraOf(key: StoreKey, n: number): number {
    if (this.#changes.size === 0) return 0;
    const namespace = namespaceOf(key);
    const change = this.#changes.get(namespace);
    const widest = this.widestOf(namespace);
    if (change === undefined || n < widest) return 0;
    const narrowest = Math.min(change.from, this.settingsOf(namespace).n);
    return majority(narrowest) + widest - narrowest - majority(widest);
  }

  /** By insertion, which is stable: they are few, and mostly in order already. */
  #sorted(candidates: Candidate[], near: Near): readonly Candidate[] {
    for (let i = 1; i < candidates.length; i++) {
      const moving = candidates[i] as Candidate;
      let to = i;
      while (to > 0 && this.#compare(candidates[to - 1] as Candidate, moving, near) > 0) {
        candidates[to] = candidates[to - 1] as Candidate;
        to--;
      }
      candidates[to] = moving;
    }
    return candidates;
  }

  #compare(a: Candidate, b: Candidate, near: Near): number {
    if (a.isSuspect !== b.isSuspect) return a.isSuspect ? 1 : -1;
    if (a.isPrimary !== b.isPrimary) return a.isPrimary ? -1 : 1;
    if (near.zone !== null && a.zone !== b.zone) {
      if (a.zone === near.zone) return -1;
      if (b.zone === near.zone) return 1;
    }
    // Fallbacks keep the order of the preference list, so that all coordinators use the same ones.
    if (!a.isPrimary) return 0;
    if (a.id === near.self) return -1;
    return b.id === near.self ? 1 : this.liveness.compare(a.id, b.id, near.now);
  }
}
