/**
 * A cluster of one that keeps everything in a Map: the HTTP face is tested in front of it. It has
 * the same entries and contexts as a real cluster, and none of its distances.
 */
import type { CausalContext } from "../../core/causal-context.ts";
import type { DelayReport } from "../../core/delay-report.ts";
import {
  applyMint,
  contextShowing,
  type Entry,
  emptyEntry,
  liveSiblings,
  type Sibling,
} from "../../core/entry.ts";
import type { Failure } from "../../core/failure.ts";
import type { ChangesOperation } from "../../core/feed.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { compareUtf8, keyOf, namespaceOf } from "../../core/keys.ts";
import { defaultSettings, type NamespaceSettings } from "../../core/namespace-settings.ts";
import type {
  GetOperation,
  LeaseOperation,
  ListOperation,
  Operation,
  WriteOperation,
} from "../../core/operations.ts";
import { noPurges, PurgeIndex } from "../../core/purges.ts";
import type { GetResult, LeaseResult, Result, ResultOf } from "../../core/results.ts";
import type { StoreKey } from "../../core/store.ts";
import type { Tally } from "../../core/tally.ts";
import { HybridClock, hlcFromMillis, type WallMillis } from "../../core/time.ts";
import type { Ring } from "../../ring/ring.ts";
import type { Backend, ClusterView, FeedBell, Turns } from "../../src/frontend/backend/backend.ts";
import { apart } from "../../src/frontend/backend/site-view.ts";
import { judgeConditions } from "../../src/node/serving/preconditions.ts";

export const testHash = new KeyedHash(new Uint8Array(16).fill(7));

export const testDefaults: NamespaceSettings = { ...defaultSettings(3), maxValueBytes: 1000 };

const tally: Tally = { n: 3, required: 2, answered: 2, primaries: 2, fallbacks: 0, durable: 2 };
const ACTOR = "memory00";

/** As from a cluster whose replicas do not know yet what they have. */
export const noSources: Result = {
  ...{ kind: "failed", failure: { code: "quorum-unavailable", detail: "nobody" }, context: null },
};

export class MemoryBackend implements Backend {
  /** Moved by hand; starts at a whole second. */
  nowMs: WallMillis = Date.UTC(2026, 0, 1);
  /** The next operations end so, before anything is done. */
  failure: Failure | Error | null = null;
  failureContext: CausalContext | null = null;
  unreachable = new Set<string>();
  lacks: string | null = null;
  readonly operations: Operation[] = [];
  weigh: (key: StoreKey) => number = () => 0;
  turns?: Turns;
  readonly #onEnding = new Set<() => void>();
  isStopping = false;
  readonly traces: string[] = [];
  readonly namespaces = new Map<string, NamespaceSettings>();
  readonly #ring: Ring;
  readonly #entries = new Map<StoreKey, Entry>();
  readonly #clock = new HybridClock();

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  now(): WallMillis {
    return this.nowMs;
  }

  readonly isEnding = (): boolean => this.isStopping;

  readonly onEnding = (callback: () => void): (() => void) => {
    this.#onEnding.add(callback);
    return () => this.#onEnding.delete(callback);
  };

  /** As a host does when it is told to stop. */
  beginToEnd(): void {
    this.isStopping = true;
    for (const callback of [...this.#onEnding]) callback();
  }

  view(): ClusterView {
    return {
      ring: this.#ring,
      defaults: testDefaults,
      ...apart(new Map(this.namespaces)),
      purges: new PurgeIndex(noPurges),
      changes: new Map(),
      version: "0.0.0",
      refusedVersions: new Map(),
      isReachable: (id) => !this.unreachable.has(id),
      lacks: this.lacks,
    };
  }

  freshView(): Promise<ClusterView> {
    return Promise.resolve(this.view());
  }

  /** What peers seem to have taken, for predictions. */
  readonly delays = new Map<string, DelayReport>();

  metrics(): string {
    return "# HELP starling_test Nothing.\n# TYPE starling_test gauge\nstarling_test 1\n";
  }

  fetchValues(operation: GetOperation, trace: string): Promise<ResultOf<"get">> {
    return this.execute(operation, trace);
  }

  execute<Asked extends Operation>(
    operation: Asked,
    trace: string,
  ): Promise<ResultOf<Asked["kind"]>> {
    return this.answer(operation, trace) as Promise<ResultOf<Asked["kind"]>>;
  }

  /** May be replaced by a test: what both of the above answer. */
  async answer(operation: Operation, trace: string): Promise<Result> {
    this.operations.push(operation);
    this.traces.push(trace);
    if (this.failure instanceof Error) throw this.failure;
    if (this.failure !== null) {
      return { kind: "failed", failure: this.failure, context: this.failureContext };
    }
    switch (operation.kind) {
      case "get":
        return this.#get(operation);
      case "write":
        return this.#write(operation);
      case "list":
        return this.#list(operation);
      case "namespaces": {
        const live = (entry: Entry) => liveSiblings(entry, this.nowMs).length > 0;
        const keys = [...this.#entries].filter(([, entry]) => live(entry));
        return {
          kind: "named",
          names: keys.map(([key]) => namespaceOf(key)),
          byteCounts: new Map(keys.map(([key]) => [namespaceOf(key), 7])),
          complete: true,
        };
      }
      case "configure": {
        const created = !this.namespaces.has(operation.namespace);
        const { namespace, settings } = operation;
        if (settings === null) this.namespaces.delete(namespace);
        else this.namespaces.set(namespace, settings);
        return { kind: "configured", created };
      }
      case "lease":
        return { kind: "leased", ...this.lease(operation) };
      case "changes":
        return this.changes(operation);
      case "staleness": {
        const own = { hedgeMs: 0, peers: new Map(), canaries: [], lagsMs: new Map() };
        return { kind: "staleness", selfId: "r1", own, reports: this.delays };
      }
      case "status":
        return { kind: "status", members: this.#ring.memberIds.map((id) => [id, null]) };
      default:
        throw new Error(`${operation.kind} is nothing for a Map`);
    }
  }

  /** How leases are answered; by default there is nobody else. */
  lease: (operation: LeaseOperation) => Omit<LeaseResult, "kind"> = () => ({
    state: "granted",
    time: hlcFromMillis(this.nowMs),
  });

  /** How looks for changes are answered; by default nothing can be asked. */
  changes: (operation: ChangesOperation) => Result | Promise<Result> = () => noSources;

  openBell?: (namespace: string) => FeedBell;

  /** Loses the values of these keys. */
  forget(isLost: (key: StoreKey) => boolean): void {
    for (const key of this.#entries.keys()) if (isLost(key)) this.#entries.delete(key);
  }

  /** The last operation that came in. */
  get last(): Operation | undefined {
    return this.operations.at(-1);
  }

  #held(key: StoreKey): Entry {
    return this.#entries.get(key) ?? emptyEntry;
  }

  /** What is proven of every read. */
  bound: Pick<GetResult, "staleBoundMs" | "staleW"> = {};

  #get({ key }: GetOperation): Result {
    return { kind: "got", entry: this.#held(key), tally, ...this.bound };
  }

  #write({ key, content, ttlMs, context, precondition }: WriteOperation): Result {
    const before = this.#held(key);
    const live = liveSiblings(before, this.nowMs);
    const { ifMatch = [], ifNoneMatch = [], unmodifiedSince = 0 } = precondition ?? {};
    const conditions = { ifMatch, ifNoneMatch, unmodifiedSince, covers: context };
    const verdict = judgeConditions(conditions, before, { now: this.nowMs, hash: testHash });
    if (verdict.isBroken) {
      const failure: Failure = { code: "precondition-failed", detail: verdict.why };
      return { kind: "failed", failure, context: null };
    }
    const counter = before.context.latest(ACTOR) + 1;
    const sibling: Sibling = {
      dot: { actor: ACTOR, counter },
      time: this.#clock.next(this.nowMs),
      op: `op${this.operations.length}`,
      expiresAt: ttlMs === 0 ? 0 : this.nowMs + ttlMs,
      content,
    };
    const covers = precondition === null ? (context ?? before.context) : verdict.covers;
    const entry = applyMint(before, { sibling, covers, isRetry: false });
    this.#entries.set(key, entry);
    return {
      kind: "written",
      created: live.length === 0,
      sibling,
      context: contextShowing(entry, [sibling], this.nowMs),
      siblingCount: liveSiblings(entry, this.nowMs).length,
      tally,
    };
  }

  #list({ namespace, prefix, after, limit }: ListOperation): Result {
    const live = [...this.#entries]
      .filter(([key, entry]) => {
        const name = keyOf(key);
        const isIn = namespaceOf(key) === namespace && name.startsWith(prefix) && name > after;
        return isIn && liveSiblings(entry, this.nowMs).length > 0;
      })
      .sort(([a], [b]) => compareUtf8(a, b));
    const page = live.slice(0, limit).map(([key, entry]) => {
      const [newest] = liveSiblings(entry, this.nowMs);
      const metadata = newest?.content?.metadata ?? null;
      return { name: keyOf(key), expiresAt: newest?.expiresAt ?? 0, metadata };
    });
    const cursor = page.at(-1)?.name ?? "";
    return { kind: "listed", keys: page, complete: page.length === live.length, cursor };
  }
}
