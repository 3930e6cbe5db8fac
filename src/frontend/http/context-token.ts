/**
 * A context as its client carries it, sealed for its namespace and key: a forged one could claim to
 * cover what nobody has seen, or carry a counter that hides every later write.
 */

import { CausalContext } from "../../../core/causal-context.ts";
import { CodecError, check } from "../../../core/check.ts";
import { decode, encodeBriefly } from "../../../core/codec.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { CONTEXT_TOKEN_BYTES_MAX } from "../../../core/limits.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import { Problem } from "./problems.ts";
import { seal, unseal } from "./sealed-token.ts";

const VERSION = 1;

/** Whose context it is. */
interface Of {
  readonly hash: KeyedHash;
  readonly key: StoreKey;
}

interface Sealed {
  readonly key: StoreKey;
  /** The secret in use then. */
  readonly sealer: KeyedHash | undefined;
  readonly endsAt: WallMillis;
  readonly token: string;
}

/** What a client sends back. */
export interface Session {
  readonly context: CausalContext;
  /** When all that was shown with it has ended; 0 for never. */
  readonly endsAt: WallMillis;
}

/**
 * The token of a context; longer than 4 KiB only for a key that some 250 tenures have written.
 *
 * @param endsAt when all that is shown with it has ended; 0 for never
 */
export function contextToToken(
  { hash, key }: Of,
  context: CausalContext,
  endsAt: WallMillis = 0,
): string {
  const fields: unknown[] = [VERSION, context.encode()];
  if (endsAt !== 0) fields.push(endsAt);
  return seal(hash, `context ${key}`, encodeBriefly(fields));
}

/** The last token of a context: a hot key's is asked for again and again. */
const sealed = new WeakMap<CausalContext, Sealed>();

/**
 * The same for an answer to a read, which may come again: it is kept beside the context. A write
 * has a new context each time; to keep its token would cost more than it saves.
 */
export function keptToken(of: Of, context: CausalContext, endsAt: WallMillis): string {
  const { hash, key } = of;
  const known = sealed.get(context);
  const [sealer] = hash.sealers;
  const isSame = known?.key === key && known.sealer === sealer && known.endsAt === endsAt;
  if (isSame) return known.token;
  const token = contextToToken(of, context, endsAt);
  sealed.set(context, { sealer, key, endsAt, token });
  return token;
}

const invalid = (detail: string): Problem => new Problem("invalid-context", detail);

/** @throws Problem `invalid-context` for anything that was not handed out for this very key */
export function tokenToSession({ hash, key }: Of, token: string): Session {
  if (token.length > CONTEXT_TOKEN_BYTES_MAX) throw invalid("The context is longer than 4 KiB.");
  const payload = unseal(hash, `context ${key}`, token);
  if (payload === null) {
    throw invalid(
      "The context was not given for this namespace and key, or not sent back as given.",
    );
  }
  try {
    const decoded = decode(payload);
    check(Array.isArray(decoded) && decoded[0] === VERSION, "a known version");
    const endsAt: unknown = decoded[2] ?? 0;
    check(Number.isSafeInteger(endsAt), "an end is a time");
    return { context: CausalContext.decode(decoded[1]), endsAt: endsAt as number };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw invalid("The context is of a version that this node does not know.");
  }
}
