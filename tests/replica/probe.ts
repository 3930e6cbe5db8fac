/** What the tests of the coordinators share: an outbox that remembers, and ready-made pieces. */
import { CausalContext } from "../../core/causal-context.ts";
import { applyMint, digestOf, type Entry, emptyEntry } from "../../core/entry.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Reply, Request, RequestOf } from "../../core/messages.ts";
import { type QuorumRules, resolveOptions } from "../../core/quorum-options.ts";
import type { Candidate } from "../../replica/candidate.ts";
import type { PutOutbox } from "../../replica/put-plan.ts";
import { hash, KEY, mintRequest, START } from "../laws/replica.ts";

export interface Asked {
  readonly to: ReplicaId;
  readonly body: Request;
}

/** An outbox that remembers what it was told; it serves every coordinator. */
export class Probe<Result> {
  readonly results: Result[] = [];
  readonly keptHints: ReplicaId[] = [];
  readonly all: Asked[] = [];
  #seen = 0;

  ask(to: ReplicaId, body: Request): void {
    this.all.push({ to, body });
  }

  finish(result: Result): void {
    if (this.results.length > 0) throw new Error("a second answer");
    this.results.push(result);
  }

  keepHint(target: ReplicaId): void {
    this.keptHints.push(target);
  }

  get result(): Result | undefined {
    return this.results[0];
  }

  /** What was asked since the last look, in words: `r1 entry`, `r2 digest`, `r3 store`. */
  asked(): readonly string[] {
    const fresh = this.all.slice(this.#seen);
    this.#seen = this.all.length;
    return fresh.map(({ to, body }) => `${to} ${wordFor(body)}`);
  }

  stores(): readonly (RequestOf<"store"> & { readonly to: ReplicaId })[] {
    return this.all.flatMap(({ to, body }) => (body.kind === "store" ? [{ ...body, to }] : []));
  }
}

// The compiler's word that one probe fits all.
export type AnyOutbox = PutOutbox;

function wordFor(body: Request): string {
  if (body.kind === "read") return body.digestOnly ? "digest" : "entry";
  if (body.kind === "store") return body.hintFor === null ? "store" : `store for ${body.hintFor}`;
  return body.kind;
}

interface Traits {
  readonly zones?: readonly string[];
  readonly suspects?: readonly ReplicaId[];
}

const asCandidate = (id: ReplicaId, i: number, traits: Traits): Candidate => ({
  id,
  isPrimary: id.startsWith("r"),
  zone: traits.zones?.[i] ?? `z${i}`,
  isSuspect: traits.suspects?.includes(id) ?? false,
});

/** `r…` are primaries, `f…` fallbacks, each in a zone of its own unless told otherwise. */
export const candidates = (names: string, traits: Traits = {}): readonly Candidate[] =>
  names.split(" ").map((id, i) => asCandidate(id, i, traits));

export const candidate = (id: ReplicaId, traits: Traits = {}): Candidate =>
  asCandidate(id, Number(id.slice(1)), traits);

/** The rules of a request with these options, N = 3, in a ring of three zones. */
export function rulesFor(options: Parameters<typeof resolveOptions>[0]): QuorumRules {
  const defaults = { n: 3, r: "quorum", w: "quorum", dw: "quorum", timeoutMs: 2000 } as const;
  const resolution = resolveOptions(options, defaults, 3);
  if (!resolution.ok) throw new Error(resolution.error.detail);
  return resolution.rules;
}

/** An entry with one more write: over all that was there, or beside it. */
export function written(
  op: string,
  over: { readonly base?: Entry; readonly isBeside?: boolean } = {},
): Entry {
  const { base = emptyEntry, isBeside = false } = over;
  const actor = `${op}________`.slice(0, 8);
  const { content } = mintRequest(op);
  const time = START * 1024 + base.siblings.length;
  const sibling = { dot: { actor, counter: 1 }, time, op, expiresAt: 0, content };
  const covers = isBeside ? CausalContext.empty : base.context;
  return applyMint(base, { sibling, covers, isRetry: false });
}

export const opsOf = (entry: Entry | undefined): readonly string[] =>
  (entry?.siblings ?? []).map(({ op }) => op).toSorted();

/** Replies as a replica would give them. */
export const held = (entry: Entry): Reply => ({
  kind: "held",
  digest: digestOf(entry, hash),
  entry: encodeEntry(entry, null),
  isUnknown: false,
});
export const digest = (entry: Entry): Reply => ({
  kind: "held",
  digest: digestOf(entry, hash),
  entry: null,
  isUnknown: false,
});
export const nothing: Reply = { kind: "held", digest: 0, entry: null, isUnknown: false };
export const unknown: Reply = { kind: "held", digest: 0, entry: null, isUnknown: true };
export const stored = (durable = true): Reply => ({ kind: "stored", durable });
export const refused = (code: string): Reply => ({ kind: "refused", code });

export { hash, KEY, START };
