/** The options of the contract, request by request, and how they travel. */

export type QuorumValue = number | "one" | "quorum" | "all";

/** What one request waits for. Each is explained, with its price, in docs/consistency.md. */
export interface ConsistencyOptions {
  /** How many of the preference list take part: 1 to the namespace's N. */
  readonly n?: number;
  /** Replies a read waits for. */
  readonly r?: QuorumValue;
  /** Acknowledgements a write waits for. */
  readonly w?: QuorumValue;
  /** Of the replies, how many from primaries. */
  readonly pr?: QuorumValue;
  /** Of the acknowledgements, how many from primaries. */
  readonly pw?: QuorumValue;
  /** Of the acknowledgements, how many after the write is on stable storage. */
  readonly dw?: QuorumValue;
  /** In how many distinct zones they must lie. */
  readonly zones?: number;
  /** Whether fallbacks stand in for primaries that do not answer. */
  readonly sloppy?: boolean;
  readonly notfoundOk?: boolean;
  readonly basicQuorum?: boolean;
  /** For the whole request, at the server: 1 to 60000 ms. */
  readonly timeoutMs?: number;
  /**
   * Of a read: at most so many seconds behind the writes that `staleW` replicas have acknowledged,
   * or an error `staleness-unproven`. 0 to 315360000, to the millisecond. One replica is asked to
   * begin with, unless `r`, `pr` or `consistency` says more.
   */
  readonly maxStale?: number;
  /** 1 to n; without it the namespace's W. */
  readonly staleW?: QuorumValue;
  /** With `auto` a read has the least r that meets `minP`, by the deployment's own delays. */
  readonly consistency?: "one" | "quorum" | "all" | "local_quorum" | "strict" | "auto";
  /** With `auto`: how likely the read sees a write that was answered `maxStale` ago. */
  readonly minP?: number;
}

const NAMES: Readonly<Record<keyof ConsistencyOptions, string>> = {
  n: "n",
  r: "r",
  w: "w",
  pr: "pr",
  pw: "pw",
  dw: "dw",
  zones: "zones",
  sloppy: "sloppy",
  notfoundOk: "notfound_ok",
  basicQuorum: "basic_quorum",
  timeoutMs: "timeout",
  maxStale: "max_stale",
  staleW: "stale_w",
  consistency: "consistency",
  minP: "min_p",
};

export const CONSISTENCY_NAMES = Object.keys(NAMES);

type Named = readonly [name: string, value: number | string | boolean];

/** The members that are set, by the contract's names; others of the object are not ours. */
function* named(options: ConsistencyOptions): Iterable<Named> {
  for (const [member, name] of Object.entries(NAMES)) {
    const value = options[member as keyof ConsistencyOptions];
    if (value !== undefined) yield [name, value];
  }
}

/** As query parameters. */
export function consistencyQuery(options: ConsistencyOptions): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of named(options)) query.set(name, String(value));
  return query;
}

/** As the `Starling-Quorum` header (RFC 9651); null when nothing is set. */
export function consistencyHeader(options: ConsistencyOptions): string | null {
  const members = [...named(options)].map(([name, value]) =>
    typeof value === "boolean" ? `${name}=?${value ? 1 : 0}` : `${name}=${value}`,
  );
  return members.length === 0 ? null : members.join(", ");
}
