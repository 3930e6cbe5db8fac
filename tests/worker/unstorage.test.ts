import { env as anyEnv } from "cloudflare:workers";
import cloudflareKvBinding from "unstorage/drivers/cloudflare-kv-binding";
import { describe } from "vitest";
import { unstorageSuite } from "../contract/unstorage-suite.ts";

const { CACHE } = anyEnv as unknown as { readonly CACHE: KVNamespace };

describe("unstorage's cloudflare-kv-binding", () => {
  unstorageSuite(() => cloudflareKvBinding({ binding: CACHE, minTTL: 1 }));
});
