/**
 * A read that one replica decides, where that one is the node's own. A coordinator would ask it
 * first, and be content with what it holds: here it is asked at once, without a task, a call and
 * their ends, which take longer than the reading.
 */
import { decodedOrNull } from "../../../core/entry-codec.ts";
import type { GetOperation } from "../../../core/operations.ts";
import type { QuorumRules } from "../../../core/quorum-options.ts";
import { readNeed } from "../../../replica/get-answers.ts";
import type { GetOutcome } from "../../../replica/get-plan.ts";
import { Quorum } from "../../../replica/quorum.ts";
import { nothingToProve, proofOf } from "../../../replica/stale-bound.ts";
import { boundNeed } from "../peers/routes.ts";
import type { FrontendHost } from "../peers/tasks.ts";

/** Whether one primary's word may be all of the answer, as far as the rules say. */
const mayBeOnes = ({ r, strict, local }: QuorumRules): boolean => r === 1 && !strict && !local;

/**
 * @returns null when it takes a coordinator: the node's own replica is no primary of the key, has
 *   nothing of it or does not know, is not enough, or cannot prove how stale it may be
 */
export function readAtHome(
  { knowledge, selfId, askSelf }: FrontendHost,
  { key, session }: Pick<GetOperation, "key" | "session">,
  rules: QuorumRules,
): GetOutcome | null {
  if (selfId === null || session !== null || !mayBeOnes(rules)) return null;
  const { ring } = knowledge;
  const place = ring.preferenceList(ring.partitionOf(key)).indexOf(selfId);
  if (place < 0 || place >= rules.n) return null;
  const quorum = new Quorum(readNeed({ rules, onlyZone: null }));
  const self = { id: selfId, isPrimary: true, zone: ring.zoneOf(selfId), isSuspect: false };
  quorum.add(self, false);
  if (!quorum.isMet) return null;
  const bound = boundNeed(knowledge, rules);
  const how = { digestOnly: false, durably: false, isBounded: bound !== null };
  const held = askSelf({ kind: "read", key, ...how });
  if (held?.kind !== "held" || held.isUnknown || held.entry === null) return null;
  const proof = bound === null ? nothingToProve : proofOf(bound, held.ages ? [held.ages] : []);
  if (!proof.isEnough) return null;
  const entry = decodedOrNull(held.entry);
  if (entry === null) return null;
  return { ok: true, entry, tally: quorum.tally(), staleBoundMs: proof.staleBoundMs };
}
