/**
 * What a node counts of its own doings since it started: plain numbers, which the hosts show as
 * metrics. Nothing is decided by them.
 */
export interface Counters {
  /** Entries that reads sent to primaries which were behind. */
  readRepairs: number;
  /** Reads whose answer lacked what a reply after it brought. */
  staleReads: number;
  /** Hints that this replica took in, delivered to their owner, or gave up after their window. */
  hintsStored: number;
  hintsDelivered: number;
  hintsRetired: number;
  /** Hints that its disk had no room for, or was too far behind to take; left to anti-entropy. */
  hintsNotKept: number;
  /** Requests of peers that were dropped because nobody waited for the answer any more. */
  lateRequests: number;
  /** Keys that this replica evicted because their namespace was over its bound, and their bytes. */
  evictions: number;
  evictedBytes: number;
  /** Members, perhaps this one, under whose id two processes were found to run. */
  duplicatesNoticed: number;
}

export const newCounters = (): Counters => ({
  readRepairs: 0,
  staleReads: 0,
  hintsStored: 0,
  hintsDelivered: 0,
  hintsRetired: 0,
  hintsNotKept: 0,
  lateRequests: 0,
  evictions: 0,
  evictedBytes: 0,
  duplicatesNoticed: 0,
});
