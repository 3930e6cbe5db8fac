/** What a quorum achieved: the numbers of the `Starling-Quorum` response header. */
export interface Tally {
  readonly n: number;
  /** The replies or acknowledgements that were required. */
  readonly required: number;
  /** Distinct replicas that answered a read or acknowledged a write. */
  readonly answered: number;
  readonly primaries: number;
  readonly fallbacks: number;
  /** Of a write: how many had it on stable storage. */
  readonly durable: number;
}
