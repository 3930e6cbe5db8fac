import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const CLIENT = fileURLToPath(new URL("src/client/index.ts", import.meta.url));
// CI reads the totals from a report; people read the terminal.
const reportDir = process.env["STARLING_TEST_REPORT"];

export default defineConfig({
  // What examples import as the package is the source here.
  resolve: { alias: { "starling-cache/client": CLIENT } },
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/worker/**", "node_modules/**"],
    testTimeout: 60_000,
    // What is awaited comes late on a busy machine; how late says nothing of whether it is right.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    reporters: reportDir === undefined ? ["default"] : ["default", "json"],
    ...(reportDir === undefined ? {} : { outputFile: { json: `${reportDir}/core.json` } }),
  },
});
