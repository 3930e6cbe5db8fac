/** keyv's own suite, as it is published, over the adapter of examples/keyv. */
import keyvTestSuite, { keyvIteratorTests } from "@keyv/test-suite";
import Keyv from "keyv";
import * as vitest from "vitest";
import { StarlingStore } from "../../examples/keyv/starling-store.ts";
import { NodeProcesses } from "../support/processes.ts";

const { afterAll, beforeAll } = vitest;
let cluster: NodeProcesses;

beforeAll(async () => {
  cluster = await NodeProcesses.of(3);
  await Promise.all(cluster.ids.map((id) => cluster.start(id)));
});
afterAll(() => cluster.close());

// The suite asks for a store before each use; every one of them is of the same namespace.
const store = (): StarlingStore => new StarlingStore({ url: cluster.urls, namespace: "keyv" });

// The suite was built on vitest 4, and uses nothing that has gone since.
const runner = vitest as unknown as Parameters<typeof keyvTestSuite>[0];
keyvTestSuite(runner, Keyv, store);
keyvIteratorTests(runner, Keyv, store);
