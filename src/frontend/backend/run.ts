/** Runs operations of which every failure is told to the client as a problem. */
import type { OtherOperation } from "../../../core/operations.ts";
import type { DoneOf } from "../../../core/results.ts";
import { problemOf } from "../http/problems.ts";
import type { Backend } from "./backend.ts";
import { execute } from "./large-work.ts";

/** Operations that change something: they may have, although they failed. */
const CHANGES: ReadonlySet<OtherOperation["kind"]> = new Set<OtherOperation["kind"]>([
  ...(["write", "merge", "purge", "configure", "commit"] as const),
]);

/** @throws Problem for every expected failure */
export async function run<Asked extends OtherOperation>(
  backend: Backend,
  operation: Asked,
  trace = "",
): Promise<DoneOf<Asked["kind"]>> {
  const result = await execute(backend, operation, trace);
  if (result.kind === "failed") throw problemOf(result.failure, CHANGES.has(operation.kind));
  return result;
}
