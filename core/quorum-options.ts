/**
 * The consistency options of one request, from what the client wrote to numbers.
 *
 * Three sources in order: the request's own options, the namespace's settings, the deployment's
 * defaults. What a request says explicitly is checked against the rest and refused when it cannot
 * hold (`r > n`, `pr > r`); what comes from a default yields to it instead (`w=1` alone lowers the
 * default `dw` to 1).
 */
import { assert } from "./assert.ts";
import { STALE_MS_MAX, TIMEOUT_MS_MAX } from "./limits.ts";

export const QUORUM_WORDS = ["one", "quorum", "all"] as const;
export type QuorumWord = (typeof QUORUM_WORDS)[number];
export type QuorumValue = number | QuorumWord;

export const CONSISTENCY_WORDS = [
  ...(["one", "quorum", "all", "local_quorum", "strict", "auto"] as const),
] as const;
export type ConsistencyWord = (typeof CONSISTENCY_WORDS)[number];

/** What a request names; a missing member was not named. Types are checked, ranges are not yet. */
export interface QuorumOptions {
  readonly n?: number;
  readonly r?: QuorumValue;
  readonly w?: QuorumValue;
  readonly pr?: QuorumValue;
  readonly pw?: QuorumValue;
  readonly dw?: QuorumValue;
  readonly zones?: number;
  readonly sloppy?: boolean;
  readonly notfoundOk?: boolean;
  readonly basicQuorum?: boolean;
  readonly timeoutMs?: number;
  /** `auto`: a read's r is the least that meets `minP` where somebody can tell, else a safe one. */
  readonly consistency?: ConsistencyWord;
  /** With `auto`: the chance, 0 … 1, that a read sees a write that is `maxStaleMs` old. */
  readonly minP?: number;
  readonly returnBody?: boolean;
  /**
   * The read lacks no write that `staleW` replicas had acknowledged this many ms before it came: a
   * whole number, 0 … STALE_MS_MAX (docs/consistency.md). It begins with one replica unless it
   * names an r.
   */
  readonly maxStaleMs?: number | undefined;
  /** 1 … n; absent: the namespace's w. */
  readonly staleW?: QuorumValue | undefined;
}

/** What a namespace or the deployment says where a request does not. */
export interface QuorumDefaults {
  readonly n: number;
  readonly r: QuorumValue;
  readonly w: QuorumValue;
  readonly dw: QuorumValue;
  readonly timeoutMs: number;
}

/** Numbers only, every relation between them holds. */
export interface QuorumRules {
  readonly n: number;
  readonly r: number;
  readonly w: number;
  /** At most r. */
  readonly pr: number;
  /** At most w. */
  readonly pw: number;
  /** At most w. */
  readonly dw: number;
  readonly zones: number;
  readonly sloppy: boolean;
  readonly notfoundOk: boolean;
  readonly basicQuorum: boolean;
  readonly timeoutMs: number;
  readonly returnBody: boolean;
  /** Strict reads bring a write quorum up to date before they answer. */
  readonly strict: boolean;
  /** Only replicas in the frontend's zone count; see `onSide`. */
  readonly local: boolean;
  /** Of a read that is to prove how stale it is at most; absent, like `staleW`, on all others. */
  readonly maxStaleMs?: number;
  readonly staleW?: number;
}

/** An option that cannot be met by any cluster state: the client's mistake. */
export interface OptionError {
  readonly option: string;
  readonly limit: number;
  readonly detail: string;
}

export type Resolution =
  | { readonly ok: true; readonly rules: QuorumRules }
  | { readonly ok: false; readonly error: OptionError };

/** The smallest size at which any two sets out of n share a member: n/2 + 1. */
export const majority = (n: number): number => Math.floor(n / 2) + 1;

/** What a word, or a number, comes to with so many replicas. */
export function quorumNumber(value: QuorumValue, n: number): number {
  if (value === "one") return Math.min(1, n);
  if (value === "quorum") return majority(n);
  return value === "all" ? n : value;
}

class RangeBreach extends Error {
  readonly error: OptionError;
  constructor(error: OptionError) {
    super(error.detail);
    this.error = error;
  }
}

interface Range {
  readonly least: number;
  readonly most: number;
  /** What the upper bound is, in words: `n`, `r`. */
  readonly bound: string;
}

function checked(option: string, value: number, range: Range): number {
  if (Number.isInteger(value) && value >= range.least && value <= range.most) return value;
  const { least, most, bound } = range;
  const upper = bound === `${most}` ? bound : `${bound} (${most})`;
  const detail = `${option}=${value} is out of range: it must be between ${least} and ${upper}.`;
  throw new RangeBreach({ option, limit: value < least ? least : most, detail });
}

interface PickSpec {
  readonly fallback: QuorumValue;
  readonly n: number;
  readonly range: Range;
}

/** An explicit number is checked against the bound; a default yields to it. */
function pick(option: string, explicit: QuorumValue | undefined, spec: PickSpec): number {
  if (explicit === undefined) return Math.min(quorumNumber(spec.fallback, spec.n), spec.range.most);
  return checked(option, quorumNumber(explicit, spec.n), spec.range);
}

function resolveN(options: QuorumOptions, most: number): number {
  const range = { least: 1, most, bound: "the namespace's N" };
  return options.n === undefined ? most : checked("n", options.n, range);
}

function shorthand(word: ConsistencyWord | undefined): QuorumValue | undefined {
  if (word === "auto") return undefined;
  return word === "strict" || word === "local_quorum" ? "quorum" : word;
}

/**
 * The r of a read that names none.
 *
 * @param certain the least that meets every write
 */
function readReplies(
  { consistency, maxStaleMs, pr }: QuorumOptions,
  usual: QuorumValue,
  certain: number,
): QuorumValue {
  // Where nothing is known of delays.
  if (consistency === "auto") return certain;
  // One replica proves the bound where it can; more are asked only where it cannot.
  return maxStaleMs === undefined ? usual : (pr ?? "one");
}

/** Checked even where nothing is bounded: nobody can mean a number that is out of range. */
function resolveBound(
  { maxStaleMs, staleW }: QuorumOptions,
  n: number,
  w: QuorumValue,
): Pick<QuorumRules, "maxStaleMs" | "staleW"> {
  const replicas = pick("stale_w", staleW, {
    ...{ fallback: w, n },
    range: { least: 1, most: n, bound: "n" },
  });
  if (maxStaleMs === undefined) return {};
  const isFine = Number.isInteger(maxStaleMs) && maxStaleMs >= 0 && maxStaleMs <= STALE_MS_MAX;
  if (isFine) return { maxStaleMs, staleW: replicas };
  const limit = maxStaleMs < 0 ? 0 : STALE_MS_MAX / 1000;
  const bounds = `between 0 and ${STALE_MS_MAX / 1000} seconds, in whole milliseconds`;
  const detail = `max_stale=${maxStaleMs / 1000} is out of range: it must be ${bounds}.`;
  throw new RangeBreach({ option: "max_stale", limit, detail });
}

/** Where only replies of one zone count, no request can find more than one zone. */
function zonesFor({ consistency, r, w }: QuorumOptions, zoneCount: number): Range {
  const isOne = consistency === "local_quorum" && (r === undefined || w === undefined);
  return isOne
    ? { least: 0, most: 1, bound: "the one zone that local_quorum counts" }
    : { least: 0, most: zoneCount, bound: "the number of zones" };
}

function resolveOrThrow(
  options: QuorumOptions,
  defaults: QuorumDefaults,
  zoneCount: number,
): QuorumRules {
  const n = resolveN(options, defaults.n);
  const word = shorthand(options.consistency);
  const strict = options.consistency === "strict";
  const replies = { least: 1, most: n, bound: "n" };
  const w = pick("w", options.w ?? word, { fallback: defaults.w, n, range: replies });
  const ofReads = readReplies(options, defaults.r, n - w + 1);
  const r = pick("r", options.r ?? word, { fallback: ofReads, n, range: replies });
  const fallback = strict ? "quorum" : 0;
  const ofReplies: PickSpec = { fallback, n, range: { least: 0, most: r, bound: "r" } };
  const ofWrites: PickSpec = { fallback, n, range: { least: 0, most: w, bound: "w" } };
  const local = options.consistency === "local_quorum";
  const zoneRange = zonesFor(options, zoneCount);
  const timeRange = { least: 1, most: TIMEOUT_MS_MAX, bound: `${TIMEOUT_MS_MAX}` };
  return {
    n,
    r,
    w,
    pr: pick("pr", options.pr, ofReplies),
    pw: pick("pw", options.pw, ofWrites),
    dw: pick("dw", options.dw, { ...ofWrites, fallback: defaults.dw }),
    zones: checked("zones", options.zones ?? 0, zoneRange),
    sloppy: options.sloppy ?? !strict,
    notfoundOk: options.notfoundOk ?? true,
    basicQuorum: options.basicQuorum ?? false,
    timeoutMs: checked("timeout", options.timeoutMs ?? defaults.timeoutMs, timeRange),
    returnBody: options.returnBody ?? false,
    strict,
    local,
    ...resolveBound(options, n, defaults.w),
  };
}

/**
 * @param zoneCount how many distinct zones the ring has
 * @returns the rules, or the first option that is out of its range
 */
export function resolveOptions(
  options: QuorumOptions,
  defaults: QuorumDefaults,
  zoneCount: number,
): Resolution {
  try {
    const rules = resolveOrThrow(options, defaults, zoneCount);
    assert(rules.r >= rules.pr && rules.w >= rules.pw && rules.w >= rules.dw, "parts of a whole");
    return { ok: true, rules };
  } catch (error) {
    if (error instanceof RangeBreach) return { ok: false, error: error.error };
    throw error;
  }
}

/**
 * The rules of a read (`r`) or a write (`w`) by what the request itself names: its number wins over
 * the word `local_quorum`, and then counts replicas of all zones.
 */
export const onSide = (rules: QuorumRules, options: QuorumOptions, side: "r" | "w"): QuorumRules =>
  rules.local && options[side] !== undefined ? { ...rules, local: false } : rules;

function namesNothing(options: QuorumOptions): boolean {
  for (const _ in options) return false;
  return true;
}

/**
 * Resolves options by the same defaults again and again, and keeps the results: for no options at
 * all, which is what most requests name, and for each options object for as long as somebody holds
 * it. Options must not change once they were given.
 */
export class QuorumResolver {
  readonly #defaults: QuorumDefaults;
  #zoneCount = -1;
  #usual: Resolution | null = null;
  #named = new WeakMap<QuorumOptions, Resolution>();

  constructor(defaults: QuorumDefaults) {
    this.#defaults = defaults;
  }

  /** As `resolveOptions` does. What is kept ends when the ring has another number of zones. */
  resolve(options: QuorumOptions, zoneCount: number): Resolution {
    if (zoneCount !== this.#zoneCount) this.#forget(zoneCount);
    if (namesNothing(options)) {
      this.#usual ??= resolveOptions(options, this.#defaults, zoneCount);
      return this.#usual;
    }
    const known = this.#named.get(options);
    if (known !== undefined) return known;
    const resolution = resolveOptions(options, this.#defaults, zoneCount);
    this.#named.set(options, resolution);
    return resolution;
  }

  #forget(zoneCount: number): void {
    this.#zoneCount = zoneCount;
    this.#usual = null;
    this.#named = new WeakMap();
  }
}
