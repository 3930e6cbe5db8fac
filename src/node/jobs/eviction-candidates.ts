/**
 * Which keys of one bounded namespace this replica would evict next.
 *
 * Keys that were written or read since the process began stand in the order of SIEVE. All others
 * are as cold as can be, and go first: they are found by one walk through the store, begun when it
 * is first needed. So a restart reads nothing, a Durable Object that wakes for one request stays
 * small, and a key that the policy had no room for is found again by another walk.
 */
import { namespaceOf } from "../../../core/keys.ts";
import type { EntrySummary, Store, StoreKey } from "../../../core/store.ts";
import { Sieve } from "../../../replica/sieve.ts";

/** How far one look goes, in keys: what nobody waits for must not take long. */
const STEPS_MAX = 20_000;

type MayGo = (key: StoreKey) => boolean;

function* everything(store: Store, partitionCount: number): Generator<EntrySummary, undefined> {
  for (let partition = 0; partition < partitionCount; partition++) {
    yield* store.entriesOf(partition);
  }
  return undefined;
}

export class EvictionCandidates {
  readonly #namespace: string;
  readonly #sieve: Sieve;
  readonly #walk: () => Iterator<EntrySummary>;
  #cold: Iterator<EntrySummary> | null;
  /** How many keys the policy had forgotten when the walk began. */
  #forgottenBefore = 0;
  #putBack: StoreKey | null = null;

  /** @param policy its random seed of 32 bits, and how many keys it may know */
  constructor(
    namespace: string,
    of: { readonly store: Store; readonly partitionCount: number },
    policy: { readonly seed: number; readonly countMax: number },
  ) {
    this.#namespace = namespace;
    this.#sieve = new Sieve(policy.seed, policy.countMax);
    this.#walk = () => everything(of.store, of.partitionCount);
    this.#cold = this.#walk();
  }

  /** A key was written; or what is left of it is no value. */
  wrote(key: StoreKey, holdsValue: boolean): void {
    if (!holdsValue) this.#sieve.remove(key);
    else if (!this.#sieve.touch(key)) this.#sieve.add(key);
  }

  /** A key was read. Returns whether it is known: else nothing was noted. */
  touch(key: StoreKey): boolean {
    return this.#sieve.touch(key);
  }

  /** A key that is there stays for now: it is not cold any more. */
  keep(key: StoreKey): void {
    if (!this.#sieve.has(key)) this.#sieve.add(key);
  }

  /** Whether the key was asked for since this was asked, or since the policy last looked at it. */
  takeTouch(key: StoreKey): boolean {
    return this.#sieve.takeTouch(key);
  }

  /** Whether nothing was found because there is nothing. */
  get isSearchedThrough(): boolean {
    return this.#cold === null && 2 * this.#sieve.count <= STEPS_MAX;
  }

  /** The next one; undefined when there is none, or none was found soon enough. */
  next(mayGo: MayGo): StoreKey | undefined {
    const kept = this.#putBack;
    this.#putBack = null;
    if (kept !== null && mayGo(kept)) return kept;
    return this.#nextCold(mayGo) ?? this.#sieve.next(mayGo, STEPS_MAX);
  }

  /** It was not its turn yet: the next one will be this one. */
  putBack(key: StoreKey): void {
    this.#putBack = key;
  }

  #nextCold(mayGo: MayGo): StoreKey | undefined {
    for (let steps = 0; this.#cold !== null && steps < STEPS_MAX; steps++) {
      const { value } = this.#cold.next();
      if (value === undefined) this.#endWalk();
      else if (this.#isCold(value) && mayGo(value.key)) return value.key;
    }
    return undefined;
  }

  #isCold({ key, holdsValue }: EntrySummary): boolean {
    return holdsValue && namespaceOf(key) === this.#namespace && !this.#sieve.has(key);
  }

  #endWalk(): void {
    const { forgottenCount } = this.#sieve;
    this.#cold = forgottenCount > this.#forgottenBefore ? this.#walk() : null;
    this.#forgottenBefore = forgottenCount;
  }
}
