import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { kCurrentWorker } from "miniflare";
import { defineConfig } from "vitest/config";
import { outside } from "./tests/worker/outside.ts";

const reportDir = process.env["STARLING_TEST_REPORT"];

export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        // Workers KV itself, to compare with.
        kvNamespaces: ["REAL"],
        bindings: {
          STARLING_SECRET: "a secret for tests alone",
          STARLING_OPEN_ON_LOOPBACK: "true",
        },
        outboundService: outside,
        // As another Worker would bind it.
        serviceBindings: {
          CACHE: {
            name: kCurrentWorker,
            entrypoint: "KvBinding",
            props: { namespace: "kv-binding" },
          },
          DOOR: { name: kCurrentWorker, entrypoint: "CacheDoor" },
          NOWHERE: { name: kCurrentWorker, entrypoint: "KvBinding" },
        },
      },
    }),
  ],
  test: {
    include: ["tests/worker/**/*.test.ts"],
    testTimeout: 60_000,
    // What is awaited comes late on a busy machine; how late says nothing of whether it is right.
    expect: { poll: { timeout: 20_000 } },
    reporters: reportDir === undefined ? ["default"] : ["default", "json"],
    ...(reportDir === undefined ? {} : { outputFile: { json: `${reportDir}/worker.json` } }),
  },
});
