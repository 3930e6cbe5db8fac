/** The binding beside a `KVNamespace` of the platform itself: the same calls, the same outcomes. */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { differencesOf, KV_CALLS, toldOf } from "../contract/kv-calls.ts";

/** Where ours is meant to differ, or cannot help it; docs/kv.md says so too. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "half a surrogate pair": "is no Unicode: one U+FFFD stands for it, as TextEncoder has it",
  "a dot as key": "is taken",
  "two dots as key": "is taken",
  "cacheTtl under 30": "is ignored, as any other",
  "cacheTtl null": "is ignored, as any other",
  "several numbers": "workerd leaves keys out that read as whole numbers",
  "expirationTtl of a second": "is taken",
  "expiration after 2038": "is taken",
  "metadata that JSON has no word for": "is the caller's mistake",
};

it("takes what a KVNamespace takes, and says what it says", async () => {
  const { REAL, CACHE } = env as unknown as Record<string, unknown>;
  expect(KV_CALLS.length).toBeGreaterThan(100);
  const differences = differencesOf(await toldOf(REAL), await toldOf(CACHE));
  const unexpected = Object.entries(differences).filter(([name]) => !(name in DIFFERENT));
  expect(Object.fromEntries(unexpected)).toEqual({});
  // A difference that is gone has to be taken off the list.
  expect(Object.keys(differences).sort()).toEqual(Object.keys(DIFFERENT).sort());
});
