/**
 * The members of a ring as text from outside may describe them: checked here for the cluster file,
 * for a ring document of a peer and for an operator's change alike.
 *
 * What is wrong is an answer and not an exception: one line that names the member and the mend.
 */
import { assert } from "../core/assert.ts";
import { CodecError } from "../core/check.ts";
import { isReplicaId, type ReplicaId } from "../core/ids.ts";
import { MEMBERS_COUNT_MAX, N_MAX } from "../core/limits.ts";
import { asObject, quoted, strangerIn } from "./foreign-json.ts";
import { isPartitionCount } from "./partition.ts";

export interface RingMember {
  readonly id: ReplicaId;
  /** What fails together: a rack, a datacentre. Members that name none share `default`. */
  readonly zone: string;
  /** Where its process listens, without a path; empty where the host finds it by its id. */
  readonly url: string;
  /** Its share relative to the others', 1 to 1000. */
  readonly weight: number;
  /**
   * The ballot of the change by which it joined; absent for a founder. What a replica holds from
   * before that is void: while it was no member, deletes were forgotten without waiting for it.
   */
  readonly joined?: number;
}

/** The shape of a ring, whoever is in it. */
export interface RingShape {
  readonly partitions: number;
  readonly n: number;
}

const WEIGHT_MAX = 1000;
const ZONE_DEFAULT = "default";

/**
 * Partitions times members: laying out a ring takes an arc of 34 bytes for each pair, so 71 MB at
 * most. Enough for 1,024 members of 2,048 partitions, or 32 of 65,536.
 */
const PAIRS_COUNT_MAX = 2 ** 21;

const ZONE = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const URL_TEXT = /^https?:\/\/(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?$/;
const URL_CHARS_MAX = 300;

const isUrl = (text: string): boolean => {
  const match = text.length <= URL_CHARS_MAX ? URL_TEXT.exec(text) : null;
  if (match === null) return false;
  const port = match[1];
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
};

/** What is wrong with a weight, as the end of a sentence, or `null`. */
export function weightProblem(value: unknown): string | null {
  const isWhole = Number.isInteger(value) && (value as number) >= 1;
  if (isWhole && (value as number) <= WEIGHT_MAX) return null;
  return `must be a whole number from 1 to ${WEIGHT_MAX}; it is ${quoted(value)}`;
}

const MEMBER_FIELDS = ["id", "zone", "url", "weight"];

/** A person's members are as that person describes them; a document's have what the ring adds. */
export type MemberSource = "person" | "document";

/**
 * @param place what to call it while its id is not known, like `members[2]`
 * @returns the member with its defaults filled in
 * @throws CodecError with what is wrong with it
 */
export function checkMember(
  value: unknown,
  place: string,
  source: MemberSource = "person",
): RingMember {
  const object = asObject(value);
  if (object === null)
    throw new CodecError(`${place} must be an object like {"id": "r1", "zone": "a"}`);
  const { id, zone = ZONE_DEFAULT, url = "", weight = 1, joined } = object;
  if (typeof id !== "string" || !isReplicaId(id)) {
    const form = `1 to 32 letters, digits or _ . -, such as "r1"`;
    throw new CodecError(`${place}: "id" must be ${form}; it is ${quoted(id)}`);
  }
  const known = source === "person" ? MEMBER_FIELDS : [...MEMBER_FIELDS, "joined"];
  const stranger = strangerIn(object, known);
  if (stranger !== null) throw new CodecError(`${place} (${id}): ${stranger}`);
  if (joined !== undefined && (!Number.isSafeInteger(joined) || (joined as number) < 1)) {
    throw new CodecError(`${place} (${id}): "joined" must be a ballot`);
  }
  if (typeof zone !== "string" || !ZONE.test(zone)) {
    const form = "1 to 64 letters, digits or _ . -";
    throw new CodecError(`${place} (${id}): "zone" must be ${form}; it is ${quoted(zone)}`);
  }
  const problem = weightProblem(weight);
  if (problem !== null) throw new CodecError(`${place} (${id}): "weight" ${problem}`);
  const bare = typeof url === "string" ? url.replace(/\/$/, "") : "?";
  // A document is not refused for a malformed host: people have put such into rings before.
  const isNone = !isUrl(bare) || (source === "person" && !URL.canParse(bare));
  if (bare !== "" && isNone) {
    const form = "http://host:port or https://host:port without a path";
    throw new CodecError(`${place} (${id}): "url" must be ${form}; it is ${quoted(url)}`);
  }
  const member = { id, zone, url: bare, weight: weight as number };
  return joined === undefined ? member : { ...member, joined: joined as number };
}

const doublesIn = (texts: readonly string[]): string | undefined =>
  texts.find((text, i) => text !== "" && texts.indexOf(text) !== i);

/** The members in their order. @throws CodecError with what is wrong with the first wrong one */
export function checkMembers(
  value: unknown,
  source: MemberSource = "person",
): readonly RingMember[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new CodecError(`"members" must be a list of at least one member`);
  }
  if (value.length > MEMBERS_COUNT_MAX) {
    throw new CodecError(`"members" lists ${value.length}: use at most ${MEMBERS_COUNT_MAX}`);
  }
  const members: RingMember[] = [];
  for (const [i, item] of (value as unknown[]).entries()) {
    const member = checkMember(item, `members[${i}]`, source);
    members.push(member);
  }
  assert(members.length === value.length, "every member was checked");
  const id = doublesIn(members.map((member) => member.id));
  if (id !== undefined)
    throw new CodecError(`"members" has two of id "${id}": give one of them another id`);
  const url = doublesIn(members.map((member) => member.url));
  if (url !== undefined)
    throw new CodecError(`"members" has two at url "${url}": give one of them another port`);
  return members;
}

/** @returns what is wrong with a ring of this shape and this many members, or `null` */
export function checkShape(shape: RingShape, memberCount: number): string | null {
  const { partitions, n } = shape;
  if (!isPartitionCount(partitions)) {
    const range = "a power of two from 1 to 65536, such as 256";
    return `"partitions" must be ${range}; it is ${quoted(partitions)}`;
  }
  if (partitions * memberCount > PAIRS_COUNT_MAX) {
    const most = 2 ** Math.floor(Math.log2(PAIRS_COUNT_MAX / memberCount));
    return `"partitions" must be at most ${most} for ${memberCount} members; it is ${partitions}`;
  }
  if (!Number.isInteger(n) || n < 1 || n > N_MAX) {
    return `"n" must be a whole number from 1 to ${N_MAX}; it is ${quoted(n)}`;
  }
  if (n > memberCount) {
    return `"n" is ${n} with ${memberCount} in "members": lower "n" or add members`;
  }
  return null;
}
