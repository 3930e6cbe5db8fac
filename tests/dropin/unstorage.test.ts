import cloudflareKvHttp from "unstorage/drivers/cloudflare-kv-http";
import { afterAll, beforeAll, describe } from "vitest";
import { unstorageSuite } from "../contract/unstorage-suite.ts";
import { NodeProcesses } from "../support/processes.ts";

let cluster: NodeProcesses;
beforeAll(async () => {
  cluster = await NodeProcesses.of(3);
  await Promise.all(cluster.ids.map((id) => cluster.start(id)));
});
afterAll(() => cluster.close());

const common = { accountId: "any", apiToken: "any", minTTL: 1 };

describe("unstorage's cloudflare-kv-http", () => {
  unstorageSuite(() => {
    const apiURL = cluster.urls[0] as string;
    return cloudflareKvHttp({ ...common, apiURL, namespaceId: "unstorage" });
  });
});

describe("unstorage's cloudflare-kv-http with a base", () => {
  unstorageSuite(() => {
    const apiURL = cluster.urls[1] as string;
    return cloudflareKvHttp({ ...common, apiURL, namespaceId: "based", base: "some:base" });
  });
});
