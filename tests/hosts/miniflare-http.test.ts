import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDev } from "../../src/local/dev.ts";
import { httpContract } from "../contract/http-suite.ts";

httpContract(
  "Miniflare",
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "starling-test-"));
    const dev = await startDev({ port: 0, replicas: 5, dataDir, log: () => {} });
    return {
      urls: [dev.url],
      close: async () => {
        await dev.close();
        rmSync(dataDir, { recursive: true, force: true });
      },
    };
  },
  { seesRawPath: true, parsesHttp: false },
);
