/**
 * The HTTP contract, from outside: one suite for every host. Each test uses a namespace of its own,
 * so the deployment may be shared.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { changeFeed } from "./changes-suite.ts";
import { call, type Deployment, freshNamespace, urls } from "./frontends.ts";
import { kvFacade } from "./kv-suite.ts";
import { clusterPlane, listings } from "./planes-suite.ts";
import { errors, type HostFacts, keys, malformedHttp, options } from "./requests-suite.ts";
import { answers, siblings, writes } from "./values-suite.ts";

/** Registers the suite for one kind of deployment. */
export function httpContract(
  name: string,
  start: () => Promise<Deployment>,
  facts: HostFacts,
): void {
  describe(`HTTP contract: ${name}`, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await start();
      urls.splice(0, urls.length, ...deployment.urls);
    }, 60_000);
    afterAll(() => deployment?.close());
    describe("writes", writes);
    describe("siblings", siblings);
    describe("answers", answers);
    describe("options", options);
    describe("keys", () => keys(facts));
    describe("errors", errors);
    if (facts.parsesHttp) describe("malformed HTTP", malformedHttp);
    describe("listings and batches", listings);
    describe("Workers KV façade", () => kvFacade(call, freshNamespace));
    describe("change feed", changeFeed);
    describe("cluster plane", clusterPlane);
  });
}
