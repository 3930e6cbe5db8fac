/**
 * A member as an acceptor of the next ring (Lamport, "Paxos made simple", 2001): what it has
 * promised to proposers outlives a crash. Proposers are `operations/proposer.ts`.
 */
import { CodecError } from "../../core/check.ts";
import { decode, encode } from "../../core/codec.ts";
import type { Store } from "../../core/store.ts";

const PROMISE = "ring-promise";

export class Acceptor {
  readonly #store: Store;
  #version = 0;
  #ballot = 0;

  constructor(store: Store) {
    this.#store = store;
    const kept = store.readMeta(PROMISE);
    if (kept === undefined) return;
    const value = decode(kept);
    if (!Array.isArray(value)) throw new CodecError("a promise is a version and a ballot");
    this.#version = Number(value[0]);
    this.#ballot = Number(value[1]);
  }

  /** Promises to accept no older proposal for this version of the ring. */
  promise(version: number, ballot: number): boolean {
    if (!this.mayAccept(version, ballot) || this.#store.health() !== "writable") return false;
    this.#version = version;
    this.#ballot = ballot;
    this.#store.writeMeta(PROMISE, encode([version, ballot]));
    return true;
  }

  mayAccept(version: number, ballot: number): boolean {
    if (version !== this.#version) return version > this.#version;
    return ballot >= this.#ballot;
  }
}
