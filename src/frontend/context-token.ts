/**
 * A context as its client carries it, sealed for its namespace and key: a forged one could claim to
 * cover what nobody has seen, or carry a counter that hides every later write.
 */
import { assert } from "../../core/assert.ts";
import { CausalContext } from "../../core/causal-context.ts";
import { decode, encode } from "../../core/codec.ts";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { CONTEXT_TOKEN_BYTES_MAX } from "../../core/limits.ts";
import type { StoreKey } from "../../core/store.ts";
import { Problem } from "./problems.ts";
import { seal, unseal } from "./sealed-token.ts";

const VERSION = 1;

interface Sealed {
  readonly hash: KeyedHash;
  readonly key: StoreKey;
  readonly token: string;
}

/** What was sealed last of a context: a hot key's is asked for again and again. */
const sealed = new WeakMap<CausalContext, Sealed>();

/** The token of a context; longer than 4 KiB only for a key that some 250 tenures have written. */
export function contextToToken(hash: KeyedHash, key: StoreKey, context: CausalContext): string {
  const known = sealed.get(context);
  if (known !== undefined && known.key === key && known.hash === hash) return known.token;
  const token = seal(hash, `context ${key}`, encode([VERSION, context.encode()]));
  sealed.set(context, { hash, key, token });
  return token;
}

const invalid = (detail: string): Problem => new Problem("invalid-context", detail);

/** @throws Problem `invalid-context` for anything that was not handed out for this very key */
export function tokenToContext(hash: KeyedHash, key: StoreKey, token: string): CausalContext {
  if (token.length > CONTEXT_TOKEN_BYTES_MAX) throw invalid("The context is longer than 4 KiB.");
  const payload = unseal(hash, `context ${key}`, token);
  if (payload === null) {
    throw invalid(
      "The context was not given for this namespace and key, or not sent back as given.",
    );
  }
  try {
    const decoded = decode(payload);
    assert(Array.isArray(decoded) && decoded[0] === VERSION, "a known version");
    return CausalContext.decode(decoded[1]);
  } catch {
    throw invalid("The context is of a version that this node does not know.");
  }
}
