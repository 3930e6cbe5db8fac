/** Makes the cluster's document known: at every step of a change, and to learn of others' steps. */
import type { Millis } from "../../core/time.ts";
import { encodeDocument } from "../../ring/cluster-document.ts";
import { askAll, type Question } from "./fanout.ts";
import type { TaskHost } from "./tasks.ts";

/**
 * Tells the targets what this node knows. Who has joined it into its own on stable storage answers
 * `documented`, with what it knows beside, and the node learns that as of every reply.
 */
export function tellDocument(host: TaskHost, to: Omit<Question, "body">, now: Millis): void {
  const document = encodeDocument(host.knowledge.document);
  askAll(host, { ...to, body: { kind: "document", document } }, now);
}
