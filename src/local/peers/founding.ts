/**
 * What a node with an empty folder asks the others before it can be one of them. First, the data
 * keys by which the cluster makes digests and places keys: they follow from the secret that the
 * cluster began with, which may have been replaced long ago. Second, where it is to listen, if it
 * was added after its cluster file was written.
 *
 * It asks on an ordinary connection, for which the present secret is enough, with a question that
 * every version answers with its own cluster document when the asker has another one.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import { MESSAGE_BYTES_MAX } from "../../../core/limits.ts";
import { decodeMessage, encodeMessage, type RequestMessage } from "../../../core/messages.ts";
import { ownSpeech } from "../../../core/version.ts";
import { type ClusterDocument, decodeDocument } from "../../../ring/cluster-document.ts";
import { dataKeyBytesIn } from "../identity/secrets.ts";
import type { PeerTls } from "../identity/tls.ts";
import { type Dialled, dial } from "./dial.ts";
import { FrameWriter, readFrames } from "./frames.ts";

export interface FoundingParts {
  readonly cluster: string;
  readonly self: ReplicaId;
  readonly members: readonly { readonly id: ReplicaId; readonly url: string }[];
  /** The keys by which the node proves that it belongs there. */
  readonly keys: readonly Uint8Array[];
  readonly tls?: PeerTls | undefined;
}

/** For all of it: a node that begins a cluster waits this long for members that do not answer. */
const MS_MAX = 1000;
/** No document has this stamp: a node that had it would answer without its document. */
const NO_STAMP = 0;

const question: RequestMessage = {
  type: "request",
  call: 1,
  stamp: NO_STAMP,
  budgetMs: MS_MAX,
  trace: "",
  body: { kind: "ping" },
};

/**
 * The data keys, as told by a member whose ring a majority has agreed to; null when none tells.
 * Those of a member that has only just begun follow only from its secret, as the asker's own would.
 */
export const askDataKeys = (parts: FoundingParts): Promise<Uint8Array | null> =>
  askMembers(parts, dataKeyBytesIn);

/**
 * What the first cluster document says that a member answers with, a majority has agreed to and
 * that says anything of it; null when none does.
 */
export async function askMembers<T>(
  parts: FoundingParts,
  read: (document: ClusterDocument) => T | null,
): Promise<T | null> {
  const others = parts.members.filter(({ id }) => id !== parts.self);
  const asked = others.map(async (member) => {
    const document = await documentOf(member, parts);
    const isAgreed = document !== null && document.ring.isProvisional !== true;
    const told = isAgreed ? read(document) : null;
    if (told === null) throw new Error("it cannot say");
    return told;
  });
  return Promise.any(asked).catch(() => null);
}

function documentOf(
  { id, url }: FoundingParts["members"][number],
  { cluster, self, keys, tls }: FoundingParts,
): Promise<ClusterDocument | null> {
  const { promise, resolve } = Promise.withResolvers<ClusterDocument | null>();
  const ends = { cluster, from: self, to: id };
  dial({ url, ends, keys, speech: ownSpeech, tls, msMax: MS_MAX }, (outcome) => {
    if (typeof outcome === "string" || "refused" in outcome) resolve(null);
    else converse(outcome, resolve);
  });
  return promise;
}

function converse(
  { socket, head, first }: Dialled,
  done: (document: ClusterDocument | null) => void,
): void {
  const timer = setTimeout(() => socket.destroy(), MS_MAX);
  socket.on("close", () => {
    clearTimeout(timer);
    done(null);
  });
  const writer = new FrameWriter(socket);
  writer.write([first]);
  writer.writeStamped([encodeMessage(question)], performance.now());
  readFrames(socket, {
    head,
    bytesMax: () => MESSAGE_BYTES_MAX,
    onFrame: (frame) => {
      const { body } = decodeMessage(frame);
      if (body.kind === "stale") done(decodeDocument(body.document));
      socket.destroy();
    },
    onMalformed: () => {},
  });
}
