/**
 * Names of replicas, of their tenures and of writes: flavoured texts, as the clocks of time.ts are
 * flavoured numbers. A plain text fits each of them, and none of them fits another.
 */
import { assert } from "./assert.ts";
import type { Prng } from "./prng.ts";

/** A replica's name in the ring, as operators write it: `r1`. */
export type ReplicaId = string & { readonly flavour?: "replica" };

/**
 * One incarnation of a replica: eight base64url characters, 48 random bits. A replica that may have
 * forgotten any of its past goes on under a new actor, so that no version is ever named twice.
 */
export type ActorId = string & { readonly flavour?: "actor" };

/** Names one client's write for as long as it may be in flight, so that it counts once. */
export type OpId = string & { readonly flavour?: "operation" };

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const REPLICA_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;

export const isReplicaId = (text: string): boolean => REPLICA_ID.test(text);

export const ACTOR_ID_LENGTH = 8;
/** By character code: whether it is of the alphabet. */
const isOfAlphabet = new Uint8Array(128);
for (let i = 0; i < ALPHABET.length; i++) isOfAlphabet[ALPHABET.charCodeAt(i)] = 1;

/** Asked of each actor of each record that is read: a table is several times a pattern's speed. */
export function isActorId(text: string): boolean {
  if (text.length !== ACTOR_ID_LENGTH) return false;
  for (let i = 0; i < ACTOR_ID_LENGTH; i++) {
    if (isOfAlphabet[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

function randomText(prng: Prng, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += ALPHABET.charAt(prng.below(64));
  assert(text.length === length, "a character went missing");
  return text;
}

const OP_ID_LENGTH_MAX = 64;

/** Ours have ten characters of the alphabet; those of peers may be any short ASCII. */
export function isOpId(text: string): boolean {
  if (text.length === 0 || text.length > OP_ID_LENGTH_MAX) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

export const newActorId = (prng: Prng): ActorId => randomText(prng, ACTOR_ID_LENGTH);
export const newOpId = (prng: Prng): OpId => randomText(prng, 10);
