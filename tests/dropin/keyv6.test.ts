/** keyv 6 over the adapter of examples/keyv: keyv's published suite, and what it asks of stores. */
import keyvTestSuite, { keyvIteratorTests } from "@keyv/test-suite";
import type Keyv5 from "keyv";
import { Keyv } from "keyv6";
import * as vitest from "vitest";
import { StarlingStore } from "../../examples/keyv/starling-store.ts";
import { keyv6Suite } from "../contract/keyv6-suite.ts";
import { NodeProcesses } from "../support/processes.ts";

const { afterAll, beforeAll, describe, expect, it } = vitest;
let cluster: NodeProcesses;

beforeAll(async () => {
  cluster = await NodeProcesses.of(3);
  await Promise.all(cluster.ids.map((id) => cluster.start(id)));
});
afterAll(() => cluster.close());

const store = (): StarlingStore => new StarlingStore({ url: cluster.urls, namespace: "keyv6" });

/** The suite is of keyv 5, and keyv 6 answers here key by key. */
const OF_KEYV_5 = ".deleteMany([keys]) with nonexistent keys resolves to false";
const asked = {
  ...vitest,
  it: (name: string, run: () => void) => name === OF_KEYV_5 || it(name, run),
} as unknown as Parameters<typeof keyvTestSuite>[0];

describe("keyv 6, by the suite that is published", () => {
  keyvTestSuite(asked, Keyv as unknown as typeof Keyv5, store);
  keyvIteratorTests(asked, Keyv as unknown as typeof Keyv5, store);
});

keyv6Suite(store);

describe("keyv 6 beside keyv 5", () => {
  it("finds what the other one keeps", async () => {
    const { default: Keyv5Class } = await import("keyv");
    const old = new Keyv5Class({ store: store(), namespace: "both" });
    const young = new Keyv({ store: store(), namespace: "both" });
    await old.set("k", { from: 5 });
    expect(await young.get("k")).toEqual({ from: 5 });
    await young.set("k", { from: 6 });
    expect(await old.get("k")).toEqual({ from: 6 });
  });
});
