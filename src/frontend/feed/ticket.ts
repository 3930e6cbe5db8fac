/**
 * Tickets for readers that can send no `Authorization`, which are browsers' `EventSource`s. One is
 * good for a namespace, for a minute, and opens one stream. Each frontend remembers those that it
 * has seen until they are over. Among all frontends an owner of the ticket's name decides: it gives
 * the first one to use it a lease for as long. Where no owner can be asked, each frontend knows
 * only its own.
 */
import { decode, encode } from "../../../core/codec.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { storeKey } from "../../../core/keys.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Backend } from "../backend/backend.ts";
import { seal, unseal } from "../http/sealed-token.ts";

const TICKET_MS = 60_000;
const USED_COUNT_MAX = 10_000;

const purposeOf = (namespace: string): string => `ticket ${namespace}`;

export function makeTicket(hash: KeyedHash, namespace: string, now: WallMillis): string {
  const id = crypto.getRandomValues(new Uint8Array(9));
  return seal(hash, purposeOf(namespace), encode([Math.floor(now) + TICKET_MS, id]));
}

export class Tickets {
  /** By used ticket, until when it would be good. */
  readonly #used = new Map<string, WallMillis>();

  /** Whether the ticket opens a stream of the namespace now, here: it does so once. */
  use(hash: KeyedHash, namespace: string, { ticket, now }: { ticket: string; now: WallMillis }) {
    const payload = unseal(hash, purposeOf(namespace), ticket);
    const list = payload === null ? null : decode(payload);
    const until = Array.isArray(list) ? Number((list as unknown[])[0]) : 0;
    if (!(until > now) || this.#used.has(ticket) || this.#isCrowded(now)) return false;
    this.#used.set(ticket, until);
    return true;
  }

  #isCrowded(now: WallMillis): boolean {
    for (const [ticket, until] of this.#used) if (until <= now) this.#used.delete(ticket);
    return this.#used.size >= USED_COUNT_MAX;
  }
}

/** Whether no other frontend of the cluster has used the ticket: a lease tells. */
export async function isUnusedElsewhere(
  backend: Backend,
  namespace: string,
  ticket: string,
): Promise<boolean> {
  const { namespaces, defaults } = backend.view();
  const { n } = namespaces.get(namespace) ?? defaults;
  const key = storeKey(namespace, `ticket ${ticket}`);
  const lease = { holder: crypto.randomUUID(), leaseMs: TICKET_MS, act: "ask" } as const;
  const result = await backend.execute({ kind: "lease", key, n, ...lease }, "");
  return result.kind === "failed" || result.state !== "wait";
}
