/**
 * A connection that this node holds to one peer: requests go out on it, their replies come back.
 * Dialled when first needed, kept until it breaks, dialled again by the next request.
 *
 * The rule for every request: a reply, or `onUnreachable` as soon as it is known that there will be
 * none. A refused or broken connection, and a full backlog, are known at once. A peer that takes
 * bytes and says nothing is known a little later: the callers give up by themselves, and when
 * nothing at all has come for `silenceMsMax` after something was sent, the connection is given up
 * too. A half-open one would otherwise live on for as long as TCP tries again, minutes after the
 * network is whole.
 */
import type { Duplex } from "node:stream";
import { assert } from "../../../core/assert.ts";
import { isLasting } from "../../../core/codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { MESSAGE_BYTES_MAX } from "../../../core/limits.ts";
import {
  decodeMessage,
  isAnsweredTwice,
  protocolOf,
  type ReplyMessage,
  type RequestMessage,
  UNKNOWN_REQUEST,
} from "../../../core/messages.ts";
import type { Speech } from "../../../core/version.ts";
import type { Ends } from "../identity/handshake.ts";
import type { PeerTls } from "../identity/tls.ts";
import type { Log } from "../process/logger.ts";
import { type Dialled, dial } from "./dial.ts";
import { byteCountOf, FrameError, FrameWriter, readFrames } from "./frames.ts";

export interface LinkLimits {
  readonly dialMsMax: number;
  /** After a failed dial the next one waits this long; calls meanwhile fail at once. */
  readonly redialMs: number;
  /** How long a peer may take requests and say nothing at all. */
  readonly silenceMsMax: number;
  /** Bytes that may wait for one peer, unless one message alone is longer. */
  readonly backlogBytesMax: number;
}

export const linkLimits: LinkLimits = {
  dialMsMax: 1000,
  redialMs: 50,
  silenceMsMax: 6000,
  // A peer with a full backlog counts as unreachable, so clients' writes alone must not fill it:
  // each frontend lets 32 MiB of them in at once, and those of six nodes may all be coordinated by
  // one.
  backlogBytesMax: 192 * 1024 * 1024,
};

export interface LinkParts {
  readonly peer: ReplicaId;
  readonly ends: Ends;
  /** Asked anew for each connection, so that the secret can be replaced at run time. */
  keys(): readonly Uint8Array[];
  readonly speech: Speech;
  readonly tls: PeerTls | undefined;
  readonly limits: LinkLimits;
  /** By the current ring; undefined when the peer is no member. */
  url(): string | undefined;
  /** What one read of the connection has brought, in its order. */
  onReplies(messages: readonly ReplyMessage[]): void;
  /** @param isUnsent nothing of the request was given to the system */
  onUnreachable(call: number, isUnsent: boolean): void;
  onMalformed(reason: string): void;
  /** What the peer speaks, each time that it says so. */
  onSpeech(speech: Speech): void;
  readonly log: Log;
}

/** Calls that a peer never answered are forgotten in the end; their callers gave up long before. */
const OPEN_CALLS_MAX = 65_536;

interface Waiting {
  readonly pieces: readonly Uint8Array[];
  readonly sentAt: number;
  readonly call: number;
  /** The least protocol whose nodes know such a request. */
  readonly protocol: number;
}

export class Link {
  readonly #parts: LinkParts;
  /** Calls that were sent, or wait for the connection, and how many replies each still gets. */
  readonly #open = new Map<number, number>();
  #writer: FrameWriter | null = null;
  #socket: Duplex | null = null;
  /** The protocol that the peer and this node speak on the connection. */
  #spoken = 0;
  #waiting: Waiting[] = [];
  #waitingByteCount = 0;
  #isDialling = false;
  #isClosed = false;
  /** It is logged when a peer goes and when it comes back, not each time that it is missed. */
  #isMissing = false;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** When the first request went out since the peer last said anything; null: none has. */
  #unheardSince: number | null = null;
  #watch: NodeJS.Timeout | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  get isConnected(): boolean {
    return this.#writer !== null;
  }

  /**
   * @param pieces the message encoded; pieces that are not lasting are copied before this returns
   */
  send(message: RequestMessage, pieces: readonly Uint8Array[]): void {
    const byteCount = byteCountOf(pieces);
    const sentAt = performance.now();
    const isRecent = sentAt - this.#failedAt < this.#parts.limits.redialMs;
    if (this.#isClosed || isRecent || !this.#hasRoomFor(byteCount)) {
      // Later, because the node is in the middle of the step that sends.
      setImmediate(() => this.#unreachable(message.call, true));
      return;
    }
    this.#open.set(message.call, isAnsweredTwice(message.body) ? 2 : 1);
    this.#forgetOldest();
    const protocol = protocolOf(message.body);
    if (this.#writer !== null) {
      if (protocol <= this.#spoken) return this.#write(this.#writer, pieces, sentAt);
      return void setImmediate(() => this.#unknownThere(message.call));
    }
    const kept = pieces.map((piece) => (isLasting(piece) ? piece : piece.slice()));
    this.#waiting.push({ pieces: kept, sentAt, call: message.call, protocol });
    this.#waitingByteCount += byteCount;
    if (!this.#isDialling) this.#dial();
  }

  /** Ends it in silence: nobody is told of the calls that were open. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#watch);
    this.#open.clear();
    this.#socket?.destroy();
  }

  #hasRoomFor(byteCount: number): boolean {
    if (byteCount > MESSAGE_BYTES_MAX) return false;
    const waiting = this.#waitingByteCount + (this.#writer?.waitingByteCount ?? 0);
    return waiting === 0 || waiting + byteCount <= this.#parts.limits.backlogBytesMax;
  }

  #dial(): void {
    const { ends, speech, tls, limits } = this.#parts;
    const url = this.#parts.url();
    // Later for the same reason: the step that sends must end first.
    if (url === undefined) return void setImmediate(() => this.#fail("it is no member"));
    this.#isDialling = true;
    const keys = this.#parts.keys();
    dial({ url, ends, keys, speech, tls, msMax: limits.dialMsMax }, (outcome) => {
      this.#isDialling = false;
      if (typeof outcome === "string") this.#fail(outcome);
      else if ("refused" in outcome) this.#refused(outcome.refused);
      else if (this.#isClosed) outcome.socket.destroy();
      else this.#connected(outcome);
    });
  }

  #refused(speech: Speech): void {
    if (!this.#isClosed) this.#parts.onSpeech(speech);
    this.#fail("it speaks another version of the protocol");
  }

  #connected({ socket, head, first, speech, spoken }: Dialled): void {
    assert(this.#writer === null, "there is one connection to a peer");
    if (this.#isMissing) this.#parts.log("peer-connected", { peer: this.#parts.peer });
    this.#isMissing = false;
    this.#parts.onSpeech(speech);
    this.#failedAt = Number.NEGATIVE_INFINITY;
    const writer = new FrameWriter(socket);
    this.#writer = writer;
    this.#socket = socket;
    socket.on("close", () => {
      this.#writer = null;
      this.#socket = null;
      this.#fail("the connection broke");
    });
    writer.write([first]);
    this.#spoken = spoken;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingByteCount = 0;
    for (const { pieces, sentAt, call, protocol } of waiting) {
      if (protocol <= spoken) this.#write(writer, pieces, sentAt);
      else this.#unknownThere(call);
    }
    let replies: ReplyMessage[] = [];
    readFrames(socket, {
      head,
      bytesMax: () => MESSAGE_BYTES_MAX,
      onFrame: (frame) => void replies.push(this.#replyIn(frame)),
      onRead: () => {
        const all = replies;
        replies = [];
        if (all.length > 0 && !this.#isClosed) this.#parts.onReplies(all);
      },
      onMalformed: (reason) => this.#parts.onMalformed(reason),
    });
  }

  #replyIn(frame: Uint8Array): ReplyMessage {
    this.#unheardSince = null;
    const message = decodeMessage(frame);
    if (message.type !== "reply") throw new FrameError("a request on the wrong connection");
    const left = (this.#open.get(message.call) ?? 1) - 1;
    if (left > 0) this.#open.set(message.call, left);
    else this.#open.delete(message.call);
    return message;
  }

  /** The peer is too old for the request, which is answered as the peer itself would answer. */
  #unknownThere(call: number): void {
    if (this.#isClosed || !this.#open.delete(call)) return;
    this.#parts.onReplies([{ type: "reply", call, body: UNKNOWN_REQUEST }]);
  }

  #write(writer: FrameWriter, pieces: readonly Uint8Array[], sentAt: number): void {
    writer.writeStamped(pieces, sentAt, isLasting);
    this.#unheardSince ??= performance.now();
    if (this.#watch === undefined) this.#watchFor(this.#parts.limits.silenceMsMax);
  }

  #watchFor(ms: number): void {
    this.#watch = setTimeout(() => {
      // If this very process was stopped, what came meanwhile is read before the peer is judged.
      setImmediate(() => this.#judgeSilence());
    }, ms).unref();
  }

  #judgeSilence(): void {
    this.#watch = undefined;
    if (this.#unheardSince === null || this.#socket === null || this.#isClosed) return;
    const silenceMs = performance.now() - this.#unheardSince;
    const leftMs = this.#parts.limits.silenceMsMax - silenceMs;
    if (leftMs > 0) return this.#watchFor(leftMs);
    this.#parts.log("peer-silent", { peer: this.#parts.peer, silenceMs: Math.round(silenceMs) });
    this.#socket.destroy();
  }

  #fail(reason: string): void {
    if (this.#isClosed) return;
    this.#failedAt = performance.now();
    this.#unheardSince = null;
    const unsent = new Set(this.#waiting.map(({ call }) => call));
    this.#waiting = [];
    this.#waitingByteCount = 0;
    if (!this.#isMissing) {
      this.#parts.log("peer-unreachable", { peer: this.#parts.peer, reason });
    }
    this.#isMissing = true;
    const calls = [...this.#open.keys()];
    this.#open.clear();
    for (const call of calls) this.#unreachable(call, unsent.has(call));
  }

  #unreachable(call: number, isUnsent: boolean): void {
    if (!this.#isClosed) this.#parts.onUnreachable(call, isUnsent);
  }

  #forgetOldest(): void {
    if (this.#open.size <= OPEN_CALLS_MAX) return;
    const oldest = this.#open.keys().next();
    if (oldest.done !== true) this.#open.delete(oldest.value);
  }
}
