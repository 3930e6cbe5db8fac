/** A disk that has lost a bit, on a running node: found, mended from the peers, and told of. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { run } from "../cli/run.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";

let cluster: TestCluster;
beforeEach(async () => {
  // Records are counted, and canaries would be among them.
  cluster = await startCluster(3, { timing: { canaryMs: 0 } });
});
afterEach(() => cluster.close());

const filesIn = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, encoding: "utf8" })
    .map((name) => join(dir, name))
    .filter((file) => file.endsWith(".wal") && statSync(file).isFile());

/** One bit of every place in which a node keeps this text. */
function rot(id: string, text: string): number {
  let count = 0;
  for (const file of filesIn(join(cluster.dir, id))) {
    const bytes = readFileSync(file);
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    writeFileSync(file, bytes);
    count++;
  }
  return count;
}

async function call(path: string, init: RequestInit = {}): Promise<unknown> {
  const answer = await fetch(`${cluster.urls[0]}${path}`, init);
  expect(answer.status).toBeLessThan(300);
  const text = await answer.text();
  return text.startsWith("{") ? JSON.parse(text) : text;
}

it("finds what has rotted on a running node's disk, and mends it from the peers", async () => {
  const value = "a value that is to be found on the disk";
  await call("/v1/kv/demo/k?w=all&dw=all", { method: "PUT", body: value });
  await call("/v1/kv/demo/other?w=all&dw=all", { method: "PUT", body: "other" });
  expect(rot("r2", value)).toBe(1);
  const now = (await call("/v1/cluster/scrub", { method: "POST", body: "{}" })) as {
    replicas: readonly object[];
  };
  const sound = { state: "done", records: 2, damaged: 0, mended: 0 };
  expect(now.replicas).toEqual([
    { id: "r1", ...sound },
    { id: "r2", ...sound, damaged: 1, mended: 1 },
    { id: "r3", ...sound },
  ]);
  const at = ["--url", cluster.urls.join(",")];
  const again = await run(["scrub", "--now", "--replica", "r2", ...at]);
  expect([again.code, again.out]).toEqual([0, expect.stringMatching(/\nr2 +2 +0 +0\n$/)]);
  const { out } = await run(["scrub", ...at]);
  expect(out).toMatch(/^member +last, ago +records +damaged +mended +running now\n/);
  expect(out).toMatch(/\nr2 +\d+ s +2 +0 +0 +(-|\d+ records?, 0 damaged)\n/);
  const { members } = (await call("/v1/cluster")) as { members: readonly { scrub: object }[] };
  expect(members[0]?.scrub).toMatchObject({
    last: { finishedAt: expect.any(String), records: 2, damaged: 0, mended: 0 },
  });
  const metrics = await (await fetch(`${cluster.urls[1]}/metrics`)).text();
  expect(metrics).toContain("starling_scrub_damaged_records_total 1");
  expect(metrics).toContain("starling_scrub_mended_records_total 1");
  for (const id of ["r1", "r3"]) await cluster.stop(id);
  const read = await fetch(`${cluster.urls[1]}/v1/kv/demo/k?r=1`);
  expect([read.status, await read.text()]).toEqual([200, value]);
});

it("refuses a member that there is not", async () => {
  const body = JSON.stringify({ replica: "r9" });
  const answer = await fetch(`${cluster.urls[0]}/v1/cluster/scrub`, { method: "POST", body });
  expect(answer.status).toBe(400);
});
