/** `starling fault`, on a cluster that takes faults. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { run } from "./run.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(2, { takesFaults: true });
});
afterAll(() => cluster.close());

const fault = (...args: string[]) => run(["fault", ...args, "--url", cluster.urls[0] ?? ""]);
const UNTIL = "until 20[-0-9T:.]+Z";

it("sets faults, lists them in the words in which it set them, and ends them", async () => {
  expect((await fault()).out).toBe("no replica has a fault\n");
  const slow = await fault("r1", "slow", "--ms", "1");
  expect(slow.out).toMatch(new RegExp(`^r1 is slow \\(1 ms longer\\) ${UNTIL}\n$`));
  const lossy = await fault("r2", "lossy", "--share", "0.001", "--for", "60");
  expect(lossy.out).toMatch(new RegExp(`^r2 is lossy \\(share 0\\.001\\) ${UNTIL}\n$`));
  expect((await fault()).out).toBe(slow.out + lossy.out);
  expect((await fault("r1", "none")).out).toBe("r1 has no fault any more\n");
  expect((await fault("r2", "down")).out).toMatch(new RegExp(`^r2 is down ${UNTIL}\n$`));
});
