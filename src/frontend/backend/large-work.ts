/**
 * Work that goes over all bytes of a long value waits for a turn, where the host gives turns: other
 * requests pass in between. Small work needs no turn, and pays one comparison for that.
 */
import type { OtherOperation } from "../../../core/operations.ts";
import type { ResultOf } from "../../../core/results.ts";
import type { Backend } from "./backend.ts";

/** To write a value of this many bytes takes a node a millisecond or two. */
const LARGE_WRITE_BYTES = 128 * 1024;
/** To read so many takes less: they are neither encoded, logged nor sent to peers. */
export const LARGE_READ_BYTES = 512 * 1024;

export interface Weight {
  readonly byteCount: number;
  /** The request's own, in ms; undefined: the deployment's. */
  readonly timeoutMs?: number | undefined;
}

/** How much of a request's time it waits for its turn: what it does then takes a fraction of it. */
export const TURN_WAIT_SHARE = 0.75;

/**
 * Does work on a long value in its turn.
 *
 * @throws Problem `overloaded` when its turn has not come after most of its time
 */
export function inTurn<Result>(
  { turns }: Backend,
  { byteCount, timeoutMs }: Weight,
  work: () => Promise<Result>,
): Promise<Result> {
  if (turns === undefined) return work();
  return turns.take(
    work,
    byteCount,
    timeoutMs === undefined ? undefined : timeoutMs * TURN_WAIT_SHARE,
  );
}

function byteCountOf(operation: OtherOperation): number {
  if (operation.kind === "write") return operation.content?.value.length ?? 0;
  return operation.kind === "merge" ? operation.entry.length : 0;
}

/**
 * Runs an operation that is no read, in its turn when it is of a long value.
 *
 * @throws Problem `overloaded` when its turn has not come, and nothing was done
 */
export function execute<Asked extends OtherOperation>(
  backend: Backend,
  operation: Asked,
  trace: string,
): Promise<ResultOf<Asked["kind"]>> {
  const isLarge = byteCountOf(operation) > LARGE_WRITE_BYTES;
  return isLarge
    ? executeJoined(backend, operation, { trace, heldByteCount: 0 })
    : backend.execute(operation, trace);
}

/**
 * Runs a write of a key that is known to hold much.
 *
 * @param heldByteCount what the write is joined to
 * @throws Problem as `execute`
 */
export function executeJoined<Asked extends OtherOperation>(
  backend: Backend,
  operation: Asked,
  { trace, heldByteCount }: { readonly trace: string; readonly heldByteCount: number },
): Promise<ResultOf<Asked["kind"]>> {
  const byteCount = heldByteCount + byteCountOf(operation);
  if (byteCount <= LARGE_WRITE_BYTES) return backend.execute(operation, trace);
  const timeoutMs = "options" in operation ? operation.options.timeoutMs : undefined;
  return inTurn(backend, { byteCount, timeoutMs }, () => backend.execute(operation, trace));
}
