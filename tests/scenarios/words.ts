/**
 * Messages, entries and results in the words of a scenario. Actors are drawn at random and operations
 * are too: here they are A, B, … in the order in which they come up, so that a text stays the same.
 */
import { type Entry, newestFirst, type Sibling } from "../../core/entry.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import { keyOf } from "../../core/keys.ts";
import type { Reply, Request } from "../../core/messages.ts";
import type { Bytes } from "../../core/pieces.ts";
import type { Result } from "../../core/results.ts";
import type { Tally } from "../../core/tally.ts";
import { decodeDocument } from "../../ring/cluster-document.ts";
import { openChange } from "../../ring/ring-change.ts";
import type { RingDocument } from "../../ring/ring-document.ts";

const decoder = new TextDecoder();

export class Words {
  readonly #actors = new Map<unknown, string>();

  /** `A2`: the second write that this actor minted for the key. */
  #dot({ dot }: Sibling): string {
    const known = this.#actors.get(dot.actor) ?? String.fromCharCode(65 + this.#actors.size);
    this.#actors.set(dot.actor, known);
    return `${known}${dot.counter}`;
  }

  #sibling(sibling: Sibling): string {
    const { content } = sibling;
    return `${this.#dot(sibling)} ${content === null ? "deleted" : decoder.decode(content.value)}`;
  }

  /** `A1 one | B1 two`: all siblings, the newest first. */
  entry({ siblings, context }: Entry): string {
    if (siblings.length === 0) return context.isEmpty ? "nothing" : "nothing any more";
    return [...siblings]
      .sort(newestFirst)
      .map((one) => this.#sibling(one))
      .join(" | ");
  }

  /** The same for an encoded entry. */
  bytes(bytes: Bytes): string {
    return this.entry(decodeEntry(bytes).entry);
  }

  #items(items: readonly unknown[]): string {
    const pairs = items as readonly (readonly [string, Uint8Array])[];
    return pairs.map(([key, bytes]) => `${keyOf(key)}: ${this.bytes(bytes)}`).join(", ");
  }

  request(body: Request): string {
    switch (body.kind) {
      case "read":
        return `read ${body.digestOnly ? "the digest of " : ""}${keyOf(body.key)}`;
      case "store": {
        const hint = body.hintFor === null ? "" : `, a hint for ${body.hintFor}`;
        return `store ${keyOf(body.key)}: ${this.bytes(body.entry)}${hint}`;
      }
      case "coordinate":
        return `coordinate ${keyOf(body.key)}${body.isRetry ? ", a second time" : ""}`;
      case "recall":
        return `recall ${keyOf(body.key)}`;
      case "deliver":
        return `deliver ${this.#items(body.items)}`;
      case "fetch":
        return `fetch ${body.keys.map((key) => keyOf(key as string)).join(", ")}`;
      case "accept":
        return `accept ${this.#document(body.document)}`;
      case "roots":
        return `roots of ${body.trees.length} trees`;
      default:
        return body.kind;
    }
  }

  reply(body: Reply): string {
    switch (body.kind) {
      case "held":
        if (body.isUnknown) return "held: unknown";
        if (body.entry !== null) return `held: ${this.bytes(body.entry)}`;
        return body.digest === 0 ? "held: nothing" : "held: a digest";
      case "stored":
        return body.durable ? "stored, durable" : "stored, received";
      case "storedWith":
        return `stored, ${body.beside.length} beside it${body.isBehind ? ", and may lack some" : ""}`;
      case "coordinated":
        return `coordinated: ${this.#dot(body.sibling)}`;
      case "rootsDiffer":
        return body.trees.length === 0 ? "no roots differ" : `roots of ${body.trees.length} differ`;
      case "fetched":
        return `fetched ${this.#items(body.items)}`;
      case "handedOff":
        return `delivered ${body.delivered}, left ${body.pending}`;
      case "confirmed":
        return body.objections.length === 0 ? "confirmed" : "confirmed, not all";
      case "failed":
      case "refused":
        return `${body.kind}: ${body.code}`;
      case "stale":
        return `stale: ${this.#document(body.document)}`;
      case "documented":
        return "documented";
      case "promised":
        return body.isGiven ? "promised" : "not promised";
      default:
        return body.kind;
    }
  }

  #document(bytes: Uint8Array): string {
    return this.ring(decodeDocument(bytes).ring);
  }

  ring(ring: RingDocument): string {
    const members = ring.members.map(({ id }) => id).join(" ");
    const change = openChange(ring);
    const head = `version ${ring.version}, ${members}`;
    if (change === null) return ring.change === undefined ? head : `${head}, a change called off`;
    const acks = change.acks.length === 0 ? "nobody" : [...change.acks].join(" ");
    const to = change.to.members.map(({ id }) => id).join(" ");
    return `${head}, ${change.phase} for ${to}, done: ${acks}`;
  }

  result(result: Result): string {
    switch (result.kind) {
      case "got":
        return `got ${this.entry(result.entry)}, ${told(result.tally)}`;
      case "written": {
        const beside = result.siblingCount > 1 ? `, ${result.siblingCount} siblings` : "";
        return `written ${this.#dot(result.sibling)}${beside}, ${told(result.tally)}`;
      }
      case "failed":
        return `failed: ${result.failure.code}. ${result.failure.detail}`;
      case "committed":
        return `committed: ${result.plan.movedPartitions} partitions move`;
      case "compared":
        return `compared: ${result.keysSent} keys sent, ${result.keysReceived} received`;
      case "handed-off":
        return `handed off: ${result.delivered} delivered, ${result.pending} left`;
      default:
        return result.kind;
    }
  }
}

function told({ required, answered, n, fallbacks }: Tally): string {
  const by = fallbacks === 0 ? "" : `, ${fallbacks} of them fallbacks`;
  return `${answered} of ${n} answered${by}, ${required} were needed`;
}
