/**
 * What a change of members would do: decided here, carried out elsewhere.
 *
 * A move is a copy that a member gets. `movedPartitions` counts these copies, and `minimumPossible`
 * is the least number of them with which any layout as good as the planned one can be reached. It
 * comes from the dual solution of the layout's flow and not from counting the plan's own moves, so
 * the two agree only if the plan is in truth the cheapest.
 */
import { assert } from "../core/assert.ts";
import { CodecError, checkNone } from "../core/check.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Move, RingPlan } from "../core/results.ts";
import { type Assignment, assign, layOut } from "./assignment.ts";
import { asObject, quoted, strangerIn } from "./foreign-json.ts";
import {
  checkMember,
  checkMembers,
  checkShape,
  type RingMember,
  weightProblem,
} from "./members.ts";
import type { RingDocument, RingLayout } from "./ring-document.ts";

const CHANGE_FIELDS = ["add", "remove", "reweight"];

/** The members left once `remove` is done. @throws CodecError */
function withoutRemoved(members: readonly RingMember[], remove: unknown) {
  if (!Array.isArray(remove)) throw new CodecError(`"remove" must be a list of ids`);
  const left = new Map(members.map((member) => [member.id, member]));
  for (const id of remove as unknown[]) {
    if (!left.delete(id as ReplicaId))
      throw new CodecError(`"remove" names ${quoted(id)}: no member has that id`);
  }
  return left;
}

/** Changes weights in place; says what is wrong, if anything. */
function reweigh(members: Map<ReplicaId, RingMember>, reweight: unknown): string | null {
  const weights = asObject(reweight);
  if (weights === null) return `"reweight" must be an object like {"r1": 2}`;
  for (const [id, weight] of Object.entries(weights)) {
    const member = members.get(id);
    if (member === undefined) {
      return `"reweight" names ${quoted(id)}: no member that stays has that id`;
    }
    const problem = weightProblem(weight);
    if (problem !== null) return `"reweight": the weight of ${id} ${problem}`;
    members.set(id, { ...member, weight: weight as number });
  }
  return null;
}

/**
 * What is wrong with the url of a member that is to join: where the members are found by their
 * urls (as on Node), nobody would reach one without, and nodes with TLS refuse plain ones.
 */
function urlProblem({ id, url }: RingMember, members: readonly RingMember[]): string | null {
  const urls = members.map((member) => member.url).filter((text) => text !== "");
  if (urls.length === 0) return null;
  const schemes = new Set(urls.map((text) => text.slice(0, text.indexOf("//") + 2)));
  const [scheme = ""] = schemes;
  if (url === "") {
    return `(${id}): "url" is missing: say where it listens, like "${scheme}${id}:7100"`;
  }
  if (schemes.size > 1 || url.startsWith(scheme)) return null;
  return `(${id}): "url" must begin with ${scheme} as those of the members do; it is "${url}"`;
}

/**
 * The members after an operator's change, `{"add":[…],"remove":[…],"reweight":{…}}`, each optional.
 * An id may be removed and added at once: that replaces its address, zone and weight.
 *
 * @throws CodecError with one line that names what is wrong and the mend
 */
export function changedMembers(document: RingDocument, change: unknown): readonly RingMember[] {
  const object = asObject(change);
  if (object === null) throw new CodecError(`a change must be an object like {"remove": ["r2"]}`);
  const stranger = strangerIn(object, CHANGE_FIELDS);
  checkNone(stranger);
  const { add = [], remove = [], reweight = {} } = object;
  const members = withoutRemoved(document.members, remove);
  checkNone(reweigh(members, reweight));
  if (!Array.isArray(add)) throw new CodecError(`"add" must be a list of members`);
  for (const [i, item] of (add as unknown[]).entries()) {
    const member = checkMember(item, `add[${i}]`);
    if (members.has(member.id)) {
      throw new CodecError(
        `add[${i}] (${member.id}) is a member already: use another id, or remove it as well`,
      );
    }
    const wrong = urlProblem(member, document.members);
    if (wrong !== null) throw new CodecError(`add[${i}] ${wrong}`);
    members.set(member.id, member);
  }
  const checked = checkMembers([...members.values()], "document");
  checkNone(checkShape(document, checked.length));
  return checked;
}

/** The copies that one layout has and another had not, by partition. */
export function movesBetween(before: Assignment, after: Assignment): readonly Move[] {
  assert(before.length === after.length, "partitions are never cut");
  return after.flatMap((row, partition) => {
    const old = before[partition] ?? [];
    const givers = old.filter((id) => !row.includes(id));
    const takers = row.filter((id) => !old.includes(id));
    return takers.map((to, i) => ({ partition, from: givers[i] ?? null, to }));
  });
}

/** What an operator that named a version of the ring other than the present one is told. */
export const otherVersion = (version: number, from: number): string =>
  `The ring is at version ${version}, and this is for version ${from}: nothing was changed. ` +
  'See GET /v1/cluster/ring, plan anew, and give "from" as that plan does.';

/** @param members as `changedMembers` gave them */
export function planChange(document: RingDocument, members: readonly RingMember[]): RingPlan {
  const { version, partitions, n, assignment: previous } = document;
  assert(checkShape(document, members.length) === null, "the members were checked before");
  const layout = layOut({ partitions, n, members, previous });
  const moves = movesBetween(previous, layout.assignment);
  assert(moves.length === layout.movedCount, "a plan moves what its layout says");
  assert(layout.movedCountMin <= moves.length, "no plan moves less than the least");
  return {
    from: version,
    to: version + 1,
    moves,
    movedPartitions: moves.length,
    minimumPossible: layout.movedCountMin,
  };
}

/**
 * The layout that a commit leads to, as `planChange` says.
 *
 * @param ballot marks the members that join, from then on
 */
export function layoutAfter(
  document: RingDocument,
  members: readonly RingMember[],
  ballot: number,
): RingLayout {
  const { partitions, n, assignment: previous } = document;
  assert(checkShape(document, members.length) === null, "the members were checked before");
  const assignment = assign({ partitions, n, members, previous });
  const known = new Map(document.members.map((member) => [member.id, member.joined]));
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const all = sorted.map(({ joined: _, ...member }) => {
    const joined = known.has(member.id) ? known.get(member.id) : ballot;
    return joined === undefined ? member : { ...member, joined };
  });
  return { members: all, assignment };
}
