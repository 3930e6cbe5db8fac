/** Judges results by the clients' own notes, except for registers (linearizability.ts). */

export interface Collected {
  /** Answered 2xx. */
  readonly acknowledged: ReadonlySet<string>;
  /** Sent at all. */
  readonly attempted: ReadonlySet<string>;
  /** There in the end, in any of the values that stand beside each other. */
  readonly found: ReadonlySet<string>;
}

const listed = (elements: readonly string[]): string =>
  elements.slice(0, 10).join(", ") + (elements.length > 10 ? `, … (${elements.length})` : "");

/** Of sets and of lists: nothing acknowledged is missing, nothing is there that nobody added. */
export function judgeCollected(name: string, of: Collected): readonly string[] {
  const lost = [...of.acknowledged].filter((element) => !of.found.has(element));
  const invented = [...of.found].filter((element) => !of.attempted.has(element));
  return [
    ...(lost.length > 0 ? [`${name} lost ${listed(lost)}`] : []),
    ...(invented.length > 0 ? [`${name} invented ${listed(invented)}`] : []),
  ];
}

/** What one session did to its own key, in order; values are counted up. */
export interface SessionEvent {
  readonly kind: "wrote" | "read";
  /** 0 stands for nothing. */
  readonly value: number;
  /** Whether the answer said that it was done. */
  readonly isKnown: boolean;
  /** Where, for people. */
  readonly via: string;
}

/** Read-your-writes and monotonic reads; null when both held, else what broke them. */
export function judgeSession(name: string, events: readonly SessionEvent[]): string | null {
  let least: SessionEvent | null = null;
  let most = 0;
  for (const event of events) {
    if (event.kind === "read" && event.value > most) {
      return `${name} read ${event.value}, which it had not written, via ${event.via}`;
    }
    if (event.kind === "read" && least !== null && event.value < least.value) {
      const past = least.kind === "wrote" ? "had written" : "had read";
      return `${name} read ${event.value} via ${event.via} after it ${past} ${least.value} via ${least.via}`;
    }
    if (event.kind === "wrote") most = Math.max(most, event.value);
    if (event.isKnown && event.value >= (least?.value ?? 0)) least = event;
  }
  return null;
}

/** What a client was told of a write of its own key; values are counted up. */
export interface BoundedWrite {
  readonly value: number;
  /** When the answer was there, in ms. */
  readonly at: number;
  /** How many replicas had acknowledged it. */
  readonly acked: number;
}

/** One read with `max_stale`. */
export interface BoundedRead {
  readonly key: string;
  /** When it was asked, in ms by the same clock. */
  readonly at: number;
  /** All siblings. */
  readonly values: readonly number[];
  readonly via: string;
}

/**
 * Whether nothing is missing that enough replicas had acknowledged long enough before the read was
 * asked; null when that holds, else what broke it.
 */
export function judgeBounded(
  { key, at, values, via }: BoundedRead,
  log: readonly BoundedWrite[],
  { maxStaleMs, ackedMin }: { readonly maxStaleMs: number; readonly ackedMin: number },
): string | null {
  const due = log.filter((write) => write.acked >= ackedMin && write.at < at - maxStaleMs);
  const newest = due.at(-1);
  if (newest === undefined) return null;
  const seen = Math.max(0, ...values);
  if (seen >= newest.value) return null;
  const age = Math.round(at - newest.at);
  return `${key} read ${seen} via ${via} ${age} ms after ${newest.value} was acknowledged by ${newest.acked}`;
}
