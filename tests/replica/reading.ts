/** What the tests of the GET coordinator share: a read in progress, and some versions of a key. */
import { decodeEntry } from "../../core/entry-codec.ts";
import { GetCoordinator } from "../../replica/get-coordinator.ts";
import type { GetOutcome, GetPlan } from "../../replica/get-plan.ts";
import { candidates, hash, KEY, opsOf, Probe, rulesFor, START, written } from "./probe.ts";

export const HEDGE = 50;
export const old = written("old");
export const next = written("next", { base: old });
export const beside = written("beside", { base: old, isBeside: true });

type Options = Parameters<typeof rulesFor>[0];

export const planOf = (options: Options, changes: Partial<GetPlan> = {}): GetPlan => ({
  key: KEY,
  rules: rulesFor(options),
  candidates: candidates("r1 r2 r3 f4 f5"),
  onlyZone: null,
  session: null,
  pending: [],
  strictCount: 2,
  isEveryone: true,
  hedgeMs: HEDGE,
  hash,
  wall: () => START,
  ...changes,
});

export function read(options: Options, changes: Partial<GetPlan> = {}) {
  const probe = new Probe<GetOutcome>();
  const coordinator = new GetCoordinator(planOf(options, changes), probe);
  coordinator.start(START);
  return { probe, coordinator };
}

/** The live operations of the answer, or the failure's code. */
export function outcome({ result }: Probe<GetOutcome>): string | readonly string[] | undefined {
  if (result === undefined) return undefined;
  return result.ok ? opsOf(result.entry) : result.failure.code;
}

export const tallyOf = ({ result }: Probe<GetOutcome>): unknown =>
  result?.ok ? result.tally : undefined;
export const repairs = (probe: Probe<GetOutcome>): unknown =>
  probe
    .stores()
    .map(({ to, entry, ack }) => [to, ...opsOf(decodeEntry(entry).entry), ack] as const);
