/** The page of examples/session-page over a real cluster, with browsers that keep its cookie. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import worker from "../../examples/session-page/worker.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";

let cluster: TestCluster;
beforeAll(async () => {
  const never = 3_600_000;
  const timing = { handoffMs: never, antiEntropyMs: never };
  cluster = await startCluster(3, { timing, takesFaults: true });
});
afterAll(() => cluster.close());

/** A browser that looks through one frontend at a time, and its cookie. */
class Browser {
  cookie = "";

  async send(node: number, init: RequestInit = {}): Promise<Response> {
    const headers = this.cookie === "" ? {} : { Cookie: this.cookie };
    const request = new Request("http://notes.example/", { ...init, headers });
    const answer = await worker.fetch(request, { STARLING_URL: cluster.urls[node] ?? "" });
    this.cookie = answer.headers.get("Set-Cookie")?.split(";")[0] ?? this.cookie;
    return answer;
  }

  async add(node: number, note: string): Promise<void> {
    const answer = await this.send(node, { method: "POST", body: new URLSearchParams({ note }) });
    expect([answer.status, answer.headers.get("Location")]).toEqual([303, "/"]);
  }

  async notes(node: number): Promise<{ notes: string[]; asked: number }> {
    const html = await (await this.send(node)).text();
    const notes = [...html.matchAll(/<li>(.*?)<\/li>/g)].map(([, note = ""]) => note);
    return { notes, asked: Number(/for this page: (\d+)/.exec(html)?.[1]) };
  }
}

const fault = (id: string, init: RequestInit): Promise<Response> =>
  fetch(`${cluster.urls[0]}/v1/cluster/faults/${id}`, init);

describe("the session page", () => {
  it("shows a browser what it wrote, by one replica unless that one is behind", async () => {
    const [ada, stranger] = [new Browser(), new Browser()];
    await ada.add(0, "<first>");
    await expect.poll(async () => (await stranger.notes(2)).notes).toEqual(["&#60;first&#62;"]);
    expect(await ada.notes(2)).toEqual({ notes: ["&#60;first&#62;"], asked: 1 });
    await fault("r3", { method: "PUT", body: '{"kind":"down","forMs":60000}' });
    await ada.add(0, "second");
    await fault("r3", { method: "DELETE" });
    // r3 missed it and nobody tells r3: a browser that never saw the note is shown what r3 has.
    expect(await new Browser().notes(2)).toEqual({ notes: ["&#60;first&#62;"], asked: 1 });
    expect(await ada.notes(2)).toEqual({ notes: ["&#60;first&#62;", "second"], asked: 2 });
  });

  it("keeps the notes of both who add at once, and shrugs at a cookie that is none", async () => {
    const [ada, grace] = [new Browser(), new Browser()];
    await Promise.all([ada.add(0, "by Ada"), grace.add(1, "by Grace")]);
    await ada.add(2, "later");
    grace.cookie = "starling-session=!";
    expect((await grace.notes(2)).notes).toEqual(
      expect.arrayContaining(["second", "by Ada", "by Grace", "later"]),
    );
    grace.cookie = "starling-session=forged";
    const answer = await grace.send(0);
    expect([answer.status, grace.cookie]).toEqual([303, "starling-session="]);
    expect((await grace.notes(0)).notes).toContain("second");
  });
});
