import { expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";

const ringOf = (...zones: readonly string[]) => {
  const members = zones.map((zone, i) => ({ id: `r${i + 1}`, zone, url: "", weight: 1 }));
  return bootstrapRing({ name: "zones", partitions: 16, n: 1, members }, "7");
};
const documentOf = (ring: ReturnType<typeof ringOf>) => ({ ring, namespaces: new Map() });

it("a node's zone is told by the ring in force, and anew with each one that it learns", async () => {
  const knowledge = new Knowledge({
    document: documentOf(ringOf("weur")),
    hash: new KeyedHash(new Uint8Array(16), "zones"),
    keyHasher: await xxhash(),
    defaults: defaultSettings(1),
    timeoutMs: 2000,
    zoneIn: ({ zones }) => (zones.includes("apac") ? "apac" : "weur"),
  });
  expect(knowledge.zone).toBe("weur");
  knowledge.learn(documentOf({ ...ringOf("weur", "apac"), version: 2 }));
  expect(knowledge.zone).toBe("apac");
});
