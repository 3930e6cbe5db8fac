/** How long peers took lately to answer, as one frontend has seen it. */
export interface RoundTrips {
  /** From asking a peer for what it holds to its reply, in ms. */
  readonly reads: readonly number[];
  /** From sending a peer a write to its last acknowledgement, durable where that was asked for. */
  readonly stores: readonly number[];
  /** How far back they go at most, in ms. */
  readonly windowMs: number;
}
