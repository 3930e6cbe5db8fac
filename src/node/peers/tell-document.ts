/** Spreads the cluster document: at every step of a change, and to learn of others' steps. */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";
import { encodeDocument } from "../../../ring/cluster-document.ts";
import { askAll, type Question } from "./fanout.ts";
import type { TaskHost } from "./tasks.ts";

const TELL_MS_MAX = 2000;

/**
 * Tells the targets what this node knows. A target joins it into its own document, and once that is
 * on stable storage answers `documented`, with what else it knows. The node learns that as it does
 * from every reply.
 */
export function tellDocument(host: TaskHost, to: Omit<Question, "body">, now: Millis): void {
  const document = encodeDocument(host.knowledge.document);
  askAll(host, { ...to, body: { kind: "document", document } }, now);
}

/** Tells all members but the one that tells. */
export function tellOthers(
  host: TaskHost,
  { self, ...rest }: { readonly self: ReplicaId } & Partial<Pick<Question, "timeoutMs" | "done">>,
  now: Millis,
): void {
  const targets = host.knowledge.ring.membersBut(self);
  tellDocument(host, { targets, timeoutMs: TELL_MS_MAX, ...rest }, now);
}
