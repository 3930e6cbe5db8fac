/**
 * The node's copy of the cluster document: what others say of it is joined in, what was joined is
 * kept on stable storage, and changes of members are voted on.
 */
import type { Reply, RequestOf } from "../../core/messages.ts";
import type { Store } from "../../core/store.ts";
import type { Millis } from "../../core/time.ts";
import {
  type ClusterDocument,
  decodeDocument,
  encodeDocument,
  stampOf,
} from "../../ring/cluster-document.ts";
import { Acceptor } from "./acceptor.ts";
import type { Knowledge } from "./knowledge/knowledge.ts";
import type { Respond } from "./peers/replies.ts";

const DOCUMENT = "document";

export interface DocumentsHost {
  readonly knowledge: Knowledge;
  /** null on a frontend that stores nothing: it keeps no document and has no vote. */
  readonly store: Store | null;
  /** Calls back when all that was written so far is durable, or the disk failed. */
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** The document is another one now; called before it is kept. */
  changed(): void;
}

export class Documents {
  readonly #host: DocumentsHost;
  readonly #acceptor: Acceptor | null;
  /** The stamp of the document last noted here, and written to the store if it takes any. */
  #keptStamp = 0;
  /** The last document that somebody sent which was not news to the document of that time. */
  #known: Uint8Array = new Uint8Array(0);
  #knownTo: ClusterDocument | null = null;

  constructor(host: DocumentsHost) {
    this.#host = host;
    this.#acceptor = host.store === null ? null : new Acceptor(host.store);
    const stored = host.store === null ? null : storedDocument(host.store);
    if (stored === null) return;
    host.knowledge.learn(stored);
    this.#keptStamp = stampOf(stored, host.knowledge.hash);
  }

  /** Joins a document into the node's own; true when that changed anything. */
  learn(document: ClusterDocument): boolean {
    if (!this.#host.knowledge.learn(document)) return false;
    this.keep();
    return true;
  }

  /**
   * The same for a document as it travels: mostly it is the very one that this node has.
   *
   * @throws CodecError when the bytes are not a document of this cluster
   */
  learnBytes(bytes: Uint8Array): boolean {
    const { knowledge } = this.#host;
    const mine = encodeDocument(knowledge.document);
    if (areEqual(bytes, mine)) return false;
    // While a change spreads, all that have not heard of it send the same older document.
    const isKnown = this.#knownTo === knowledge.document && areEqual(bytes, this.#known);
    if (isKnown || this.learn(decodeDocument(bytes))) return !isKnown;
    this.#known = bytes.slice();
    this.#knownTo = knowledge.document;
    return false;
  }

  /** Writes down what this node knows: it was changed here. */
  keep(): void {
    const { knowledge, store, changed, whenDurable } = this.#host;
    changed();
    // Also where a failed disk keeps nothing: two such nodes would never stop noting it for each
    // other, and telling each other in turn.
    this.#keptStamp = knowledge.stamp;
    if (store === null || store.health() === "failed") return;
    store.writeMeta(DOCUMENT, encodeDocument(knowledge.document));
    whenDurable(() => {});
  }

  take({ document: bytes }: RequestOf<"document">, respond: Respond): void {
    const { knowledge, store } = this.#host;
    this.learnBytes(bytes);
    // This very node may have changed it for a client: it tells itself as it tells the others.
    if (knowledge.stamp !== this.#keptStamp) this.keep();
    const document = encodeDocument(knowledge.document);
    if (store === null) return respond({ kind: "documented", document });
    this.#respondWhenDurable({ kind: "documented", document }, respond);
  }

  takePromise({ version, ballot }: RequestOf<"promise">, respond: Respond): void {
    const { knowledge } = this.#host;
    if (this.#acceptor === null) return respond({ kind: "refused", code: "overloaded" });
    const isCurrent = version === knowledge.document.ring.version;
    const isGiven = isCurrent && this.#acceptor.promise(version, ballot);
    const document = encodeDocument(knowledge.document);
    this.#respondWhenDurable({ kind: "promised", isGiven, document }, respond);
  }

  takeAccept({ ballot, document }: RequestOf<"accept">, respond: Respond): void {
    const { version, change } = decodeDocument(document).ring;
    // Reads come from the new owners already, and the change may be about to end.
    const isTooLate =
      change?.to === null && this.#host.knowledge.document.ring.change?.phase === "settling";
    if (isTooLate || this.#acceptor?.mayAccept(version, ballot) !== true) {
      return respond({ kind: "refused", code: "ring-conflict" });
    }
    this.take({ kind: "document", document }, respond);
  }

  #respondWhenDurable(reply: Reply, respond: Respond): void {
    this.#host.whenDurable((ok) => respond(ok ? reply : { kind: "refused", code: "disk" }));
  }
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The document that a store has kept. @throws CodecError */
export function storedDocument(store: Store): ClusterDocument | null {
  const bytes = store.readMeta(DOCUMENT);
  return bytes === undefined ? null : decodeDocument(bytes);
}
