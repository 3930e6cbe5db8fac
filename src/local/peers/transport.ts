/**
 * Messages between Node processes: two connections from each node to each other, one for short
 * requests and one for long ones, that stay, many calls at a time on each. Whatever follows a long
 * message on a connection waits for all of it: 26 MiB take a gigabit network 0.2 s. With two,
 * requests may overtake each other, as on the simulator's wires: nothing counts on their order.
 *
 * Requests go out on this node's own connections (link.ts); replies go back on the very connection
 * that brought the request, and nowhere else. A caller that died and came back numbers its calls
 * from one again, so a late reply to its former life would be taken for the answer to another call:
 * for a write that was never stored, say.
 *
 * Therefore a request's sender is known to the node above as `peer#connection`, and a reply to a
 * connection that is gone is dropped: nobody waits for it any more.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { assert } from "../../../core/assert.ts";
import { isLasting } from "../../../core/codec.ts";
import { isReplicaId, type ReplicaId } from "../../../core/ids.ts";
import { MESSAGE_BYTES_MAX } from "../../../core/limits.ts";
import {
  decodeMessage,
  encodeMessageInPieces,
  type Message,
  type RequestMessage,
} from "../../../core/messages.ts";
import { ownSpeech, type Speech, spokenBy } from "../../../core/version.ts";
import type { Address } from "../../node/peers/boundary.ts";
import {
  type Hello,
  helloAnswer,
  isProof,
  newNonce,
  PROOF_BYTES,
  proof,
  provenKey,
  readHello,
  versionRefusal,
} from "../identity/handshake.ts";
import type { PeerTls } from "../identity/tls.ts";
import { boundedLog } from "../process/bounded-log.ts";
import { sayLast } from "../process/last-words.ts";
import type { Log } from "../process/logger.ts";
import { Waited } from "../process/waited.ts";
import {
  byteCountOf,
  FrameError,
  FrameWriter,
  readFrames,
  readStamped,
  STAMP_BYTES,
} from "./frames.ts";
import { Link, type LinkLimits, linkLimits } from "./link.ts";

export interface TransportLimits extends LinkLimits {
  /** Until a caller has proven that it knows the secret, in ms. */
  readonly proofMsMax: number;
}

export interface TransportParts {
  readonly self: ReplicaId;
  readonly cluster: string;
  /** The keys of each valid secret; asked anew for each connection. */
  keys(): readonly Uint8Array[];
  /** With it a peer must also show a certificate for its host; without it nodes speak plainly. */
  readonly tls?: PeerTls | undefined;
  readonly limits?: Partial<TransportLimits>;
  /** What this node speaks; default: what this program does. */
  readonly speech?: Speech | undefined;
  /** Told what a peer speaks when it is refused for that, and null when it no longer is. */
  onRefusedVersion?(peer: ReplicaId, speech: Speech | null): void;
  /** The member's URL by the current ring; undefined when it is no member. */
  urlOf(id: ReplicaId): string | undefined;
  /**
   * What one read of a connection has brought, in its order. Requests come from `peer#connection`,
   * replies from the peer that was asked.
   */
  onMessages(from: Address, messages: readonly Message[]): void;
  /** @param isUnsent nothing of the request can have come there */
  onUnreachable(to: ReplicaId, call: number, isUnsent: boolean): void;
  readonly log: Log;
}

const PROOF_MS_MAX = 2000;
/** A longer request goes on the connection where it is in no short one's way. */
const SHORT_BYTES = 64 * 1024;

export class Transport {
  readonly #parts: TransportParts;
  readonly #limits: TransportLimits;
  readonly #links = new Map<ReplicaId, Link>();
  /** For requests that are long; dialled with the first of them. */
  readonly #longLinks = new Map<ReplicaId, Link>();
  /** The proven connections of others, by the address that their requests come from. */
  readonly #callers = new Map<Address, FrameWriter>();
  readonly #accepted = new Set<Duplex>();
  /** Bounded, because most of its lines are caused by peers. */
  readonly #log: Log;
  readonly #speech: Speech;
  /** Peers that speak a protocol too far from this node's, and what they speak. */
  readonly #refused = new Map<ReplicaId, Speech>();
  #connectionCount = 0;
  #isClosed = false;
  malformedCount = 0;
  droppedCount = 0;

  constructor(parts: TransportParts) {
    this.#parts = parts;
    this.#log = boundedLog(parts.log);
    this.#speech = parts.speech ?? ownSpeech;
    this.#limits = { ...linkLimits, proofMsMax: PROOF_MS_MAX, ...parts.limits };
  }

  /** How many peers this node is connected to. */
  get connectedCount(): number {
    const connected = this.#allLinks().filter(([, link]) => link.isConnected);
    return new Set(connected.map(([peer]) => peer)).size;
  }

  /** How many members this node and they refuse for their versions. */
  get refusedVersionCount(): number {
    return [...this.#refused.keys()].filter((id) => this.#parts.urlOf(id) !== undefined).length;
  }

  send(to: Address, message: Message): void {
    const pieces = encodeMessageInPieces(message);
    if (message.type === "reply") this.#reply(to, pieces);
    else this.#linkTo(to, byteCountOf(pieces) > SHORT_BYTES).send(message, pieces);
  }

  /**
   * Whether an HTTP request is a peer's that wants to connect. For everybody else the route does
   * not exist: such a request is served like any other for an unknown route.
   */
  recognises(incoming: IncomingMessage): boolean {
    return this.#readHello(incoming) !== null;
  }

  /** Takes a connection over; false, and nothing done, when the request is not recognised. */
  accept(incoming: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const hello = this.#readHello(incoming);
    if (hello === null) return false;
    const { ends, speech, key } = hello;
    this.#heardSpeech(ends.from, speech);
    if (spokenBy(this.#speech, speech) === null) {
      sayLast(socket, versionRefusal(this.#speech));
      return true;
    }
    const nonces = { client: hello.nonce, server: newNonce() };
    socket.write(helloAnswer(key, { ends, nonces }, this.#speech));
    const expected = proof(key, "client", { ends, nonces });
    this.#serve(socket, head, { peer: ends.from, expected });
    return true;
  }

  /** Breaks all connections; from then on nobody is told of anything. */
  close(): void {
    this.#isClosed = true;
    for (const [, link] of this.#allLinks()) link.close();
    for (const socket of this.#accepted) socket.destroy();
  }

  /**
   * Logs one line when a peer turns out to be of a refused version, and one when it no longer is.
   */
  #heardSpeech(peer: ReplicaId, speech: Speech): void {
    const known = this.#refused.get(peer);
    const { protocol, version } = speech;
    if (spokenBy(this.#speech, speech) !== null) {
      if (!this.#refused.delete(peer)) return;
      this.#log("peer-compatible", { peer, version, protocol });
      this.#parts.onRefusedVersion?.(peer, null);
    } else if (known?.protocol !== protocol || known.version !== version) {
      this.#refused.set(peer, speech);
      const { protocol: ownProtocol, version: ownVersion } = this.#speech;
      this.#log("peer-incompatible", { peer, version, protocol, ownVersion, ownProtocol });
      this.#parts.onRefusedVersion?.(peer, speech);
    }
  }

  #readHello(incoming: IncomingMessage): (Hello & { readonly key: Uint8Array }) | null {
    const hello = readHello(incoming);
    if (hello === null || this.#isClosed) return null;
    const { cluster, from, to } = hello.ends;
    const { self } = this.#parts;
    if (cluster !== this.#parts.cluster || to !== self || from === self) return null;
    // A caller that is no member may be about to join, or have left: it proves the secret like all,
    // and its certificate, whose host nobody can know, must be of the cluster's authority.
    if (!isReplicaId(from)) return null;
    const url = this.#parts.urlOf(from) ?? null;
    if (this.#parts.tls?.isPeer(incoming.socket, url) === false) return null;
    const key = provenKey(this.#parts.keys(), hello);
    return key === null ? null : { ...hello, key };
  }

  #serve(socket: Duplex, head: Buffer, of: { peer: ReplicaId; expected: Uint8Array }): void {
    const { peer, expected } = of;
    const address = `${peer}#${++this.#connectionCount}`;
    const patience = setTimeout(() => socket.destroy(), this.#limits.proofMsMax).unref();
    this.#accepted.add(socket);
    socket.on("close", () => {
      clearTimeout(patience);
      this.#accepted.delete(socket);
      this.#callers.delete(address);
    });
    const waited = new Waited();
    let requests: RequestMessage[] = [];
    const isProven = (): boolean => this.#callers.has(address);
    const onFrame = (frame: Uint8Array): void => {
      if (isProven()) return void requests.push(requestIn(frame, waited));
      if (!isProof(frame, expected)) throw new FrameError("the proof is wrong");
      clearTimeout(patience);
      this.#callers.set(address, new FrameWriter(socket));
    };
    readFrames(socket, {
      head,
      bytesMax: () => (isProven() ? STAMP_BYTES + MESSAGE_BYTES_MAX : PROOF_BYTES),
      onFrame,
      onRead: () => {
        const all = requests;
        requests = [];
        if (all.length > 0 && !this.#isClosed) this.#parts.onMessages(address, all);
      },
      onMalformed: (reason) => this.#malformed(peer, reason),
    });
  }

  #reply(to: Address, pieces: readonly Uint8Array[]): void {
    const writer = this.#callers.get(to);
    if (writer === undefined) return;
    const byteCount = byteCountOf(pieces);
    const waiting = writer.waitingByteCount;
    const isTooMuch = waiting > 0 && waiting + byteCount > this.#limits.backlogBytesMax;
    // A caller that does not read hears nothing and gives up, and memory stays bounded.
    if (isTooMuch || byteCount > MESSAGE_BYTES_MAX) this.droppedCount++;
    else writer.write(pieces, isLasting);
  }

  #allLinks(): readonly (readonly [ReplicaId, Link])[] {
    return [...this.#links, ...this.#longLinks];
  }

  #linkTo(peer: ReplicaId, isLong: boolean): Link {
    const links = isLong ? this.#longLinks : this.#links;
    const known = links.get(peer);
    if (known !== undefined) return known;
    assert(!peer.includes("#"), "a request goes to a replica, not to a connection");
    const { self, cluster, tls } = this.#parts;
    const log: Log = isLong
      ? (event, fields) => this.#log(event, { ...fields, requests: "long" })
      : this.#log;
    const link = new Link({
      peer,
      ends: { cluster, from: self, to: peer },
      keys: () => this.#parts.keys(),
      speech: this.#speech,
      tls,
      limits: this.#limits,
      log,
      url: () => (this.#isClosed ? undefined : this.#parts.urlOf(peer)),
      onReplies: (messages) => this.#parts.onMessages(peer, messages),
      onUnreachable: (call, isUnsent) => this.#parts.onUnreachable(peer, call, isUnsent),
      onMalformed: (reason) => this.#malformed(peer, reason),
      onSpeech: (speech) => this.#heardSpeech(peer, speech),
    });
    links.set(peer, link);
    return link;
  }

  #malformed(peer: ReplicaId, reason: string): void {
    this.malformedCount++;
    this.#log("malformed-frame", { peer, reason });
  }
}

/**
 * The time that the request waited on its way is taken off its budget.
 *
 * @throws FrameError for anything but a request
 */
function requestIn(frame: Uint8Array, waited: Waited): RequestMessage {
  const { sentAt, body } = readStamped(frame);
  const message = decodeMessage(body);
  if (message.type !== "request") throw new FrameError("a reply on the wrong connection");
  const waitedMs = Math.floor(waited.of(sentAt, performance.now()));
  return waitedMs === 0
    ? message
    : { ...message, budgetMs: Math.max(0, message.budgetMs - waitedMs) };
}
