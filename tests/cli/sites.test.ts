/** `starling sites` and `starling purge --site`. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { run } from "./run.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(1, { cache: {} });
});
afterAll(() => cluster.close());

const starling = (...args: string[]) => run([...args, "--url", cluster.urls[0] ?? ""]);

describe("starling sites", () => {
  it("makes, changes, lists and removes sites", async () => {
    expect((await starling("sites")).out).toContain("there is no site");
    const made = await starling("sites", "set", "blog", "--origin", "http://origin.test");
    expect([made.code, made.out]).toEqual([0, "blog stands in front of http://origin.test\n"]);
    await starling("sites", "set", "blog", "--host", "blog.test", "--stale-if-error", "60");
    await starling("sites", "set", "blog", "--with", '{"keep":10}', "--purge-method");
    const listed = await starling("sites", "list", "--json");
    expect(JSON.parse(listed.out)).toMatchObject([
      {
        name: "blog",
        origin: "http://origin.test",
        hosts: ["blog.test"],
        staleIfError: 60,
        keep: 10,
        purgeMethod: true,
      },
    ]);
    expect((await starling("sites")).out).toMatch(/blog +http:\/\/origin\.test +blog\.test/);
    expect((await starling("purge", "--site", "blog", "--everything")).out).toMatch(/1 of 1/);
    const soft = await starling("purge", "--site", "blog", "--page", "/a", "--soft");
    expect(soft.out).toMatch(/is stale; 1 of 1 members know/);
    const removed = await starling("sites", "remove", "blog", "--json");
    expect([removed.code, JSON.parse(removed.out)]).toEqual([0, { removed: "blog" }]);
    expect((await starling("sites", "remove", "blog")).code).toBe(3);
  });

  it("says which site answers for a host that two of them name", async () => {
    const origin = ["--origin", "http://origin.test"];
    await starling("sites", "set", "default", ...origin);
    const second = await starling("sites", "set", "another", ...origin, "--host", "a.test");
    expect(second.out).toBe("another stands in front of http://origin.test\n");
    const both = await starling("sites", "set", "another", "--host", "*", "--host", "a.test");
    const told = "default answers for *, and not another: both name it";
    expect(both.out).toBe(`another stands in front of http://origin.test\n${told}\n`);
    expect((await starling("sites")).out.trim().split("\n").at(-1)).toBe(told);
    for (const name of ["default", "another"]) await starling("sites", "remove", name);
  });

  it("says in one line what it does not take", async () => {
    for (const args of [
      ["sites", "show"],
      ["sites", "show", "x"],
      ["sites", "set", "x"],
      ["sites", "set", "x", "--with", "no"],
      ["sites", "set", "x", "--origin", "http://y", "--stale-if-error", "soon"],
      ["purge"],
      ["purge", "shop", "--site", "blog", "--everything"],
      ["purge", "shop", "--everything", "--soft"],
      ["purge", "--site", "blog", "--page", "/a", "--everything"],
    ]) {
      const { code, err } = await starling(...args);
      expect([args, code, err.trim().split("\n").length]).toEqual([args, 2, 1]);
    }
    const unknown = await starling("sites", "show");
    expect(unknown.err).toContain("sites takes list, set or remove, and not show");
    const whole = await starling("purge", "--site", "blog");
    expect(whole.err).toContain("--page");
  });
});
