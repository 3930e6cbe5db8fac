/** What went wrong, as a person and a program can act on it. */

/**
 * Whether a failed write may have happened all the same. `no`: it was applied nowhere, and never
 * will be. `unknown`: it may have been, or may surface later. Reads change nothing: always `no`.
 */
export type Outcome = "no" | "unknown";

/** What a problem document (RFC 9457) of Starling says, as far as this client reads it. */
interface ProblemBody {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly required?: unknown;
  readonly achieved?: unknown;
  readonly option?: unknown;
  readonly limit?: unknown;
}

export interface ErrorParts {
  readonly code: string;
  readonly detail: string;
  /** The HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly outcome: Outcome;
  readonly problem?: ProblemBody;
  readonly context?: string | null;
  /** How long the server asks to be left alone, in ms. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

/**
 * A request that did not do what was asked. `code` is the problem document's (`quorum-timeout`,
 * `precondition-failed` …), or one of this client's own: `no-answer` when the connection failed,
 * broke or stayed silent, `unexpected-answer` when what answered does not speak the contract.
 */
export class StarlingError extends Error {
  override readonly name = "StarlingError";
  readonly code: string;
  readonly detail: string;
  readonly status: number;
  readonly outcome: Outcome;
  /** Of a quorum that was not met: how many replicas were needed, and how many there were. */
  readonly required: number | null;
  readonly achieved: number | null;
  /** The option that was refused. */
  readonly option: string | null;
  /** The bound that was passed. */
  readonly limit: number | null;
  /** With `too-many-siblings`: what to resolve them with. */
  readonly context: string | null;
  readonly retryAfterMs: number;
  readonly #parts: ErrorParts;

  constructor(parts: ErrorParts) {
    const { code, detail, status, outcome, problem = {} } = parts;
    // The problem documents of writes in doubt say so themselves.
    const isSaid = outcome !== "unknown" || detail.includes("outcome is unknown");
    const doubt = isSaid ? "" : "; the write may have happened";
    super(`${detail} (${status === 0 ? code : `${code}, HTTP ${status}`}${doubt})`, {
      cause: parts.cause,
    });
    this.#parts = parts;
    this.code = code;
    this.detail = detail;
    this.status = status;
    this.outcome = outcome;
    this.required = numberOf(problem.required);
    this.achieved = numberOf(problem.achieved);
    this.option = typeof problem.option === "string" ? problem.option : null;
    this.limit = numberOf(problem.limit);
    this.context = parts.context ?? null;
    this.retryAfterMs = parts.retryAfterMs ?? 0;
  }

  /** The same after an attempt in doubt: a later refusal says nothing of the earlier one. */
  inDoubt(): StarlingError {
    if (this.outcome === "unknown") return this;
    // Bundlers rename a class that refers to itself by name, and stacks then show that name.
    const Same = this.constructor as typeof StarlingError;
    return new Same({ ...this.#parts, outcome: "unknown" });
  }
}

/** Seconds, or a date (RFC 9110, 10.2.3), as ms from now; 0 when there is none. */
function retryAfterOf(headers: Headers): number {
  const text = headers.get("Retry-After");
  if (text === null) return 0;
  const seconds = Number(text);
  const ms = Number.isNaN(seconds) ? Date.parse(text) - Date.now() : seconds * 1000;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

/**
 * The error that a problem document, or any other answer, stands for. Only a 4xx promises
 * that a write was applied nowhere.
 */
export function errorOf(
  problem: ProblemBody,
  parts: Omit<ErrorParts, "code" | "detail" | "outcome" | "problem"> & {
    readonly isWrite: boolean;
  },
): StarlingError {
  const { status, isWrite } = parts;
  const isRefusal = status >= 400 && status < 500;
  return new StarlingError({
    ...parts,
    problem,
    code: isText(problem.code) ? problem.code : "unexpected-answer",
    detail: isText(problem.detail) ? problem.detail : `HTTP ${status} without a problem document`,
    outcome: isWrite && !isRefusal ? "unknown" : "no",
  });
}

/** Reads a failed response to its end, so that its connection is free again. */
export async function errorFrom(response: Response, isWrite: boolean): Promise<StarlingError> {
  const { status, headers } = response;
  let problem: ProblemBody = {};
  try {
    const parsed: unknown = JSON.parse(await response.text());
    if (typeof parsed === "object" && parsed !== null) problem = parsed;
  } catch {
    // A proxy's page, or a body that broke off: the status alone has to do.
  }
  const context = headers.get("Starling-Context");
  return errorOf(problem, { status, isWrite, context, retryAfterMs: retryAfterOf(headers) });
}
