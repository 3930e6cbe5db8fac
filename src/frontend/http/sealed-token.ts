/**
 * Opaque texts that clients carry and give back: base64url of a payload with a tag of eight bytes
 * under the cluster's secret, or for a while the one before or after it. The tag is bound to the
 * cluster's name and to what the text is for, so that it can neither be made up nor used elsewhere,
 * not even where two clusters share a secret.
 */
import { present } from "../../../core/assert.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { fromBase64Url, scratchBytes, toBase64Url } from "./base64url.ts";

const TAG_BYTES = 8;
const encoder = new TextEncoder();

/** Where what is sealed is put together; grown for longer texts. */
let scratch = scratchBytes(1024);

/** Writes a text in UTF-8. Names are mostly in ASCII, and the encoder is a call out of V8. */
function putText(text: string, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return encoder.encodeInto(text, scratch.subarray(at)).written;
    scratch[at + i] = unit;
  }
  return text.length;
}

/** Where in the scratch a payload stands that is tagged, and its tag behind it. */
interface Tagged {
  readonly at: number;
  readonly tagAt: number;
}

function putTagged(hash: KeyedHash, purpose: string, payload: Uint8Array): Tagged {
  const { length } = payload;
  // A UTF-16 unit takes at most three bytes.
  const mostBytes = 2 + 3 * (hash.realm.length + 1 + purpose.length) + length + TAG_BYTES;
  if (mostBytes > scratch.length) scratch = scratchBytes(2 * mostBytes);
  const realmEnd = 2 + putText(hash.realm, 2);
  scratch[realmEnd] = 0;
  const at = realmEnd + 1 + putText(purpose, realmEnd + 1);
  scratch[0] = (at - 2) & 255;
  scratch[1] = (at - 2) >> 8;
  for (let i = 0; i < length; i++) scratch[at + i] = payload[i] as number;
  hash.tagInto(scratch, at + length);
  return { at, tagAt: at + length };
}

/** Compares without ending early at the first difference. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= present(a[i]) ^ present(b[i]);
  return difference === 0;
}

/**
 * @param purpose what the text is for; only the same one opens it
 * @param payload copied at once
 */
export function seal(hash: KeyedHash, purpose: string, payload: Uint8Array): string {
  const [sealer = hash] = hash.sealers;
  const { at, tagAt } = putTagged(sealer, purpose, payload);
  return toBase64Url(scratch, at, tagAt + TAG_BYTES);
}

/** The payload; null when the text was not sealed here for this purpose. */
export function unseal(hash: KeyedHash, purpose: string, token: string): Uint8Array | null {
  const bytes = fromBase64Url(token);
  if (bytes === null || bytes.length <= TAG_BYTES) return null;
  const payload = bytes.subarray(0, bytes.length - TAG_BYTES);
  const given = bytes.subarray(payload.length);
  const isOurs = hash.sealers.some((sealer) => {
    const { tagAt } = putTagged(sealer, purpose, payload);
    return sameBytes(given, scratch.subarray(tagAt, tagAt + TAG_BYTES));
  });
  return isOurs ? payload : null;
}
