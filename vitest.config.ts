import { defineConfig } from "vitest/config";

// CI reads the totals from a report; people read the terminal.
const reportDir = process.env["STARLING_TEST_REPORT"];

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/worker/**", "node_modules/**"],
    // Tests of real processes share two cores with each other: some are too slow at times. A failure
    // that is one fails three times.
    retry: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    reporters: reportDir === undefined ? ["default"] : ["default", "json"],
    ...(reportDir === undefined ? {} : { outputFile: { json: `${reportDir}/core.json` } }),
  },
});
