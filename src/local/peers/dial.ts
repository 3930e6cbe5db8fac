/** Dialling a peer: connect, upgrade, and know that it is who it should be. */
import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { type Speech, spokenBy } from "../../../core/version.ts";
import {
  type Ends,
  helloHeaders,
  isProof,
  newNonce,
  PATH,
  proof,
  readProof,
  readSpeech,
  VERSION_REFUSED,
} from "../identity/handshake.ts";
import type { PeerTls } from "../identity/tls.ts";

export interface DialPlan {
  /** The peer's url by the ring. */
  readonly url: string;
  readonly ends: Ends;
  readonly keys: readonly Uint8Array[];
  /** What this node speaks. */
  readonly speech: Speech;
  /** With it only https will do, and both ends show their certificates. */
  readonly tls?: PeerTls | undefined;
  /** For all of it, in ms: a peer that swallows bytes must not hold up the calls that wait. */
  readonly msMax: number;
}

export interface Dialled {
  readonly socket: Duplex;
  /** What came right behind the answer. */
  readonly head: Buffer;
  /** The proof that the peer waits for, to be sent as the first frame. */
  readonly first: Uint8Array;
  readonly speech: Speech;
  /** The protocol that both speak. */
  readonly spoken: number;
}

/** The peer is there, but speaks no protocol that this node speaks. */
export interface OtherVersion {
  readonly refused: Speech;
}

export type DialOutcome = Dialled | OtherVersion | string;

/** Calls back once, later, with the connection or with the reason why there is none. */
export function dial(plan: DialPlan, done: (outcome: DialOutcome) => void): void {
  const nonce = newNonce();
  const { ends, keys } = plan;
  let isOver = false;
  const finish = (outcome: DialOutcome): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    done(outcome);
  };
  const timer = setTimeout(() => fail("no answer in time"), plan.msMax);
  // A ring may name urls that a URL's own grammar refuses, and `request` throws for those.
  if (!URL.canParse(plan.url)) return void setImmediate(() => finish("its url is malformed"));
  if (plan.url.startsWith("https:") !== (plan.tls !== undefined)) {
    return void setImmediate(() => finish("one of the two has TLS and the other has not"));
  }
  const headers = helloHeaders(keys, ends, { nonce, speech: plan.speech });
  const target = `${plan.url}${PATH}`;
  const dialling =
    plan.tls === undefined
      ? plainRequest(target, { headers, agent: false })
      : tlsRequest(target, { headers, agent: false, ...plan.tls.dialOptions() });
  const fail = (reason: OtherVersion | string): void => {
    dialling.destroy();
    finish(reason);
  };
  dialling.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? "broken"));
  dialling.on("response", ({ statusCode, headers: given }) => {
    if (statusCode === VERSION_REFUSED) fail({ refused: readSpeech(given) });
    else fail(`refused with status ${statusCode}`);
  });
  dialling.on("upgrade", (answer: IncomingMessage, socket: Duplex, head: Buffer) => {
    const nonces = { client: nonce, server: String(answer.headers["starling-nonce"] ?? "") };
    const given = readProof(answer.headers["starling-proof"]);
    const key = keys.find((one) => isProof(given, proof(one, "server", { ends, nonces })));
    if (isOver || key === undefined) {
      socket.destroy();
      return finish("it does not know the cluster's secret");
    }
    const speech = readSpeech(answer.headers);
    const spoken = spokenBy(plan.speech, speech);
    if (spoken === null) {
      socket.destroy();
      return finish({ refused: speech });
    }
    finish({ socket, head, speech, spoken, first: proof(key, "client", { ends, nonces }) });
  });
  dialling.end();
}
