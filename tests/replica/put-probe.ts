/** A write as its tests begin it. */
import { encodeEntry } from "../../core/entry-codec.ts";
import { PutCoordinator } from "../../replica/put-coordinator.ts";
import type { PutOutbox, PutOutcome, PutPlan } from "../../replica/put-plan.ts";
import type { QuorumNeed } from "../../replica/quorum.ts";
import { candidate, candidates, KEY, Probe, START, written } from "./probe.ts";

export const HEDGE = 50;
export const TIMEOUT = 2000;
export const entry = encodeEntry(written("new"), null);

interface Wishes extends Partial<Omit<QuorumNeed, "count">> {
  readonly w?: number;
}

/** r1 coordinates; r2 and r3 are the other primaries, f4 and f5 stand in for them. */
export function write(
  wishes: Wishes = {},
  changes: Partial<PutPlan> = {},
  out: Pick<PutOutbox, "awaitsMore"> = {},
) {
  const { w = 2, ...rest } = wishes;
  const none = { primaries: 0, zones: 0, onlyZone: null, durable: 0 };
  const probe = Object.assign(new Probe<PutOutcome>(), out);
  const coordinator = new PutCoordinator(
    {
      key: KEY,
      entry,
      alone: null,
      need: { n: 3, count: w, ...none, ...rest },
      self: candidate("r1"),
      standsInFor: null,
      primaries: candidates("r2 r3"),
      fallbacks: candidates("f4 f5"),
      sloppy: true,
      isBlind: false,
      tells: false,
      timeoutMs: TIMEOUT,
      hedgeMs: HEDGE,
      ...changes,
    },
    probe,
  );
  coordinator.start(START);
  return { probe, coordinator };
}

export const codeOf = ({ result }: Probe<PutOutcome>): string | undefined =>
  result === undefined ? undefined : result.ok ? "ok" : result.failure.code;
