import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ago, statusText } from "../../src/cli/status.ts";
import {
  type ClusterBody,
  type MemberBody,
  type RingBody,
  verdictOf,
} from "../../src/frontend/admin/verdict.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { BIN, run } from "./run.ts";

const IDS = ["r1", "r2", "r3", "r4"];
/** Each of four members is away from one of the four partitions. */
const ring: RingBody = {
  version: 1,
  partitions: 4,
  members: IDS.map((id) => ({ id, zone: "a", weight: 1 })),
  assignment: IDS.map((left) => IDS.filter((id) => id !== left)),
};

function clusterOf(away: readonly string[], more: Record<string, object> = {}): ClusterBody {
  const members = IDS.map((id) => ({
    ...{ id, zone: "a", url: `http://${id}`, state: "up", partitionsOwned: 3 },
    ...{ keys: 1, bytes: 10, hintsHeld: {}, reachable: !away.includes(id) },
    ...more[id],
  }));
  const defaults = { n: 3, r: "quorum", w: "quorum" };
  return { name: "c", ringVersion: 1, partitions: 4, defaults, members };
}

describe("the verdict of status", () => {
  const wordsOf = (...of: Parameters<typeof clusterOf>): string =>
    verdictOf(clusterOf(...of), ring).text;

  it("says that all is well, and what is on its way", () => {
    expect(wordsOf([])).toBe(
      "SAFE: all 4 partitions have all their copies within reach; reads and writes are safe.",
    );
    expect(wordsOf([], { r1: { hintsHeld: { r2: 7, r3: 1 } } })).toBe(
      "SAFE: all 4 partitions have all their copies within reach; 8 hints are on their way home. " +
        "Nothing to do.",
    );
    expect(wordsOf([], { r1: { hintsHeld: { r2: 1 } } })).toContain("; 1 hint is on its way home.");
  });

  it("says how many copies are left of how many partitions, and what to do", () => {
    expect(wordsOf(["r2"], { r2: { unreachableSince: "2026-11-28T10:00:00.123Z" } })).toBe(
      "DEGRADED: r2 (since 2026-11-28T10:00:00Z) away; 3 of 4 partitions are down to 2 of 3 " +
        "copies. Reads and writes are safe; one more failure there and strict reads and writes " +
        "fail. Start r2 again, or replace what does not come back.",
    );
    expect(wordsOf(["r1", "r2"])).toBe(
      "UNSAFE: r1 and r2 away; 2 of 4 partitions are down to 1 of 3 copies and 2 of 4 partitions " +
        "are down to 2 of 3 copies: strict reads and writes of those fail; default ones lean on " +
        "stand-ins, and may miss what is stored. Start r1 and r2 again, or replace what does not " +
        "come back.",
    );
  });

  it("goes by the defaults of the deployment", () => {
    const one = { ...clusterOf(["r2"]), defaults: { n: 3, r: 1, w: "one" } };
    expect(verdictOf(one, ring).text).toContain("1 more may fail");
    const all = { ...clusterOf(["r2"]), defaults: { n: 3, r: "quorum", w: "all" } };
    expect(verdictOf(all, ring).level).toBe("unsafe");
  });

  it("names a member that runs twice before anything else", () => {
    const twice = { duplicateSeenAt: "2026-11-28T10:00:00Z" };
    expect(wordsOf(["r2"], { r3: twice })).toMatch(/^UNSAFE: two processes run as r3\. Stop/);
  });
});

describe("the text of status", () => {
  const now = Date.parse("2026-11-28T12:00:00Z");

  it("says since when, which version and how old the oldest hint is, where it is known", () => {
    const text = statusText(
      {
        ...clusterOf(["r2"], {
          r1: {
            version: "0.2.0",
            startedAt: "2026-11-26T09:00:00Z",
            hintsHeld: { r2: 3 },
            oldestHintAt: "2026-11-28T11:50:00Z",
          },
          r2: { unreachableSince: "2026-11-28T11:49:55Z" },
        }),
        version: "0.2.0",
      },
      ring,
      now,
    );
    const [head, columns, r1, r2] = text.split("\n");
    expect(head).toBe("cluster c, ring version 1, 4 partitions, starling 0.2.0");
    expect(columns).toMatch(/^member .* since +version .* hints +oldest hint +url$/);
    expect(r1).toMatch(/ yes +2 d 3 h +0\.2\.0 .* 3 for r2 +10 min +http:\/\/r1$/);
    expect(r2).toMatch(/ no +10 min 5 s +- /);
  });

  it("says when all records were last read for rot, and what was found", () => {
    const finishedAt = "2026-11-28T11:58:00Z";
    const pass = (damaged: number, mended: number): Partial<MemberBody> => ({
      scrub: { last: { finishedAt, records: 9, damaged, mended }, running: null },
    });
    const never = { scrub: { last: null, running: null } };
    const members = { r1: pass(0, 0), r2: pass(3, 2), r3: never };
    const [, columns, r1, r2, r3] = statusText(clusterOf([], members), ring, now).split("\n");
    expect(columns).toMatch(/ hints +scrubbed +url$/);
    expect(r1).toMatch(/ 2 min +http:\/\/r1$/);
    expect(r2).toMatch(/ 2 min, 3 damaged, 2 mended +http:\/\/r2$/);
    expect(r3).toMatch(/ - +http:\/\/r3$/);
  });

  it("leaves out what nobody says", () => {
    const columns = statusText(clusterOf([]), ring, now).split("\n")[1];
    expect(columns).not.toMatch(/since|version|oldest|scrubbed/);
  });

  it("tells times in two words", () => {
    const at = (ms: number): string => ago(new Date(now - ms).toISOString(), now);
    expect([at(0), at(59_000), at(3_600_000), at(90_061_000), at(-5000)]).toEqual([
      ...["0 s", "59 s", "1 h", "1 d 1 h", "0 s"],
    ]);
    expect([ago(null, now), ago(undefined, now), ago("x", now)]).toEqual(["-", "-", "-"]);
  });
});

describe("starling status", () => {
  let cluster: TestCluster;
  let at: readonly string[];
  beforeAll(async () => {
    cluster = await startCluster(3);
    at = ["--url", cluster.urls[0] as string];
  });
  afterAll(() => cluster.close());

  it("ends with its verdict, and has it as JSON", async () => {
    const { out } = await run(["status", ...at]);
    expect(out.trim().split("\n").at(-1)).toMatch(/^SAFE: all 64 partitions/);
    const json = JSON.parse((await run(["status", "--json", ...at])).out) as ClusterBody & {
      verdict: { level: string };
    };
    expect([json.members.length, json.verdict.level]).toEqual([3, "safe"]);
  });

  it("looks no longer than somebody reads", async () => {
    const args = ["status", "--watch", "0.1", ...at];
    expect(await run(args, { isRead: false })).toEqual({ code: 0, out: "", err: "" });
  });

  it("looks again and again, and outlasts a look that fails", async () => {
    const args = ["status", "--watch", "0.1", "--json", ...at];
    const child = spawn(process.execPath, [BIN, ...args], {
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const levels = (): number => out.split('"level":"safe"').length - 1;
    await expect.poll(levels, { timeout: 20_000 }).toBeGreaterThan(2);
    await cluster.stop("r1");
    await expect.poll(() => out, { timeout: 20_000 }).toContain('"failure":"http');
    child.kill("SIGTERM");
    await ended;
    expect((await run(["status", "--watch", "soon", ...at])).code).toBe(2);
  });
});
