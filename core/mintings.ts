/**
 * The latest writes that a replica minted for a key, newest first, kept as the bytes that its
 * record has of them. Each write of the key adds one and drops the oldest, and hardly anybody ever
 * asks for one of them: so they are decoded when somebody asks, and not whenever a record is read.
 * As lists of values they took a quarter of what a write of a busy key costs.
 *
 * One minting: the length of its operation's name (1 byte), the name, the dot's actor, its counter
 * and the time, both as 64-bit floats, most significant byte first.
 */

import { assert } from "./assert.ts";
import { check } from "./check.ts";
import type { Retry } from "./entry.ts";
import { ACTOR_ID_LENGTH, isActorId, isOpId, type OpId } from "./ids.ts";
import type { Hlc } from "./time.ts";

export interface Minting extends Retry {
  readonly time: Hlc;
}

const COUNTER_AT = ACTOR_ID_LENGTH;
const TIME_AT = COUNTER_AT + 8;
/** What follows the operation's name. */
const REST_BYTES = TIME_AT + 8;

/** Which ones stay. */
export interface MintingBounds {
  /** None of this time or an earlier one. */
  readonly before: Hlc;
  readonly countMax: number;
}

/** Where they are put together; grown for more of them. */
let scratch = new Uint8Array(4096);

/** Operations and actors are ASCII. */
function textAt(bytes: Uint8Array, from: number, length: number): string {
  let text = "";
  for (let at = from; at < from + length; at++) text += String.fromCharCode(bytes[at] as number);
  return text;
}

function isTextAt(bytes: Uint8Array, from: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (bytes[from + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

function putText(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

export class Mintings {
  static readonly none = new Mintings(new Uint8Array(0));

  readonly bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /**
   * @param bytes as another `Mintings` has them, not copied. @throws CodecError when they are not
   * whole
   */
  static fromBytes(bytes: Uint8Array): Mintings {
    let at = 0;
    while (at < bytes.length) at += 1 + (bytes[at] as number) + REST_BYTES;
    check(at === bytes.length, "mintings are whole");
    return bytes.length === 0 ? Mintings.none : new Mintings(bytes);
  }

  /** @param list newest first */
  static of(list: readonly Minting[]): Mintings {
    const all = { before: -Infinity, countMax: Infinity };
    return list.reduceRight((mintings, minting) => mintings.with(minting, all), Mintings.none);
  }

  /**
   * These with a newer one before them, at most `countMax` in all. From the first one on whose time
   * is `before` or earlier they are forgotten.
   */
  with(minting: Minting, bounds: MintingBounds): Mintings {
    return new Mintings(this.withBriefly(minting, bounds).bytes.slice());
  }

  /** The same in bytes that are valid until the next such call: for what is copied at once. */
  withBriefly(minting: Minting, { before, countMax }: MintingBounds): Mintings {
    const { op, dot, time } = minting;
    assert(isOpId(op) && isActorId(dot.actor), "names have their lengths");
    const head = 1 + op.length + REST_BYTES;
    const kept = this.#lengthOf(before, countMax - 1);
    if (head + kept > scratch.length) scratch = new Uint8Array(2 * (head + kept));
    const bytes = scratch.subarray(0, head + kept);
    bytes[0] = op.length;
    putText(bytes, 1, op);
    putText(bytes, 1 + op.length, dot.actor);
    const view = viewOf(bytes);
    view.setFloat64(1 + op.length + COUNTER_AT, dot.counter);
    view.setFloat64(1 + op.length + TIME_AT, time);
    bytes.set(this.bytes.subarray(0, kept), head);
    return new Mintings(bytes);
  }

  /** The same ones, where they lie at the end of a record: not copied. */
  atEndOf(record: Uint8Array): Mintings {
    return new Mintings(record.subarray(record.length - this.bytes.length));
  }

  /** The newest of an operation; null when there is none. */
  find(op: OpId): Minting | null {
    const { bytes } = this;
    for (let at = 0; at < bytes.length; at = this.#after(at)) {
      if (bytes[at] === op.length && isTextAt(bytes, at + 1, op)) return this.#at(at);
    }
    return null;
  }

  /** Those of the operations, newest first: of the others only the names are read. */
  ofOperations(ops: ReadonlySet<OpId>): readonly Minting[] {
    const { bytes } = this;
    const found: Minting[] = [];
    for (let at = 0; at < bytes.length; at = this.#after(at)) {
      if (ops.has(textAt(bytes, at + 1, bytes[at] as number))) found.push(this.#at(at));
    }
    return found;
  }

  /** Newest first. */
  all(): readonly Minting[] {
    const found: Minting[] = [];
    for (let at = 0; at < this.bytes.length; at = this.#after(at)) found.push(this.#at(at));
    return found;
  }

  #at(at: number): Minting {
    const { bytes } = this;
    const view = viewOf(bytes);
    const rest = at + 1 + (bytes[at] as number);
    const dot = {
      actor: textAt(bytes, rest, ACTOR_ID_LENGTH),
      counter: view.getFloat64(rest + COUNTER_AT),
    };
    const time = view.getFloat64(rest + TIME_AT);
    return { op: textAt(bytes, at + 1, rest - at - 1), dot, time };
  }

  #after(at: number): number {
    return at + 1 + (this.bytes[at] as number) + REST_BYTES;
  }

  /** How many bytes the first ones take that are later than `before`. */
  #lengthOf(before: Hlc, countMax: number): number {
    const { bytes } = this;
    const view = viewOf(bytes);
    let at = 0;
    for (let count = 0; count < countMax && at < bytes.length; count++) {
      const rest = at + 1 + (bytes[at] as number);
      if (view.getFloat64(rest + TIME_AT) <= before) break;
      at = rest + REST_BYTES;
    }
    return at;
  }
}
