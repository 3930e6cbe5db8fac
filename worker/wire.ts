/**
 * Messages between this deployment's own objects: lists of plain values, which the platform copies
 * by itself (structured clone). It does so natively and would copy bytes in any case; a codec in
 * front of that makes them twice.
 */
import { type Message, messageToList } from "../core/messages.ts";
import { Pieces } from "../core/pieces.ts";

/** Or a list of these; to say so would send the platform's own types round in circles. */
type Plain = number | string | boolean | null | Uint8Array;

/** Its reader checks what is in it. */
export type Wire = Plain[];

/**
 * A view travels with its whole buffer, so a view of a part is cut out, and pieces are put
 * together. Lists in which nothing is cut out stay as they are, because one that `map` makes counts
 * as full of holes, and such a list is copied a property at a time.
 */
function cutOut(value: unknown): unknown {
  if (Array.isArray(value)) return cutOutOf(value);
  if (value instanceof Pieces) return value.whole();
  if (!(value instanceof Uint8Array)) return value;
  return value.byteLength === value.buffer.byteLength ? value : value.slice();
}

function cutOutOf(list: readonly unknown[]): readonly unknown[] {
  let out: unknown[] | null = null;
  for (const [i, value] of list.entries()) {
    const cut = cutOut(value);
    if (cut === value) continue;
    out ??= [...list];
    out[i] = cut;
  }
  return out ?? list;
}

export const messageToWire = (message: Message): Wire => cutOutOf(messageToList(message)) as Wire;
