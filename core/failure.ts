/**
 * Expected failures are values, with the numbers that a person needs to act on them. The codes are
 * the HTTP contract's; the frontend adds status and title.
 */
export const FAILURE_CODES = [
  "invalid-option",
  "invalid-request",
  "invalid-context",
  "precondition-failed",
  "too-many-siblings",
  "ring-conflict",
  "value-too-large",
  "overloaded",
  "quorum-unavailable",
  "context-not-reached",
  "staleness-unproven",
  "quorum-timeout",
  "insufficient-storage",
  "faults-off",
] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

export interface Failure {
  readonly code: FailureCode;
  /** One sentence in words that a person can act on. */
  readonly detail: string;
  readonly required?: number;
  readonly achieved?: number;
  readonly option?: string;
  readonly limit?: number;
  /** Nothing was changed, and nothing will be: a change that failed is in doubt else. */
  readonly isWithoutEffect?: true;
}
