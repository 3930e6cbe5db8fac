/** The mover against a played ring, whose nodes hear of a change late or for whom it never ends. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { Prng } from "../../core/prng.ts";
import type { ProcessCluster } from "../support/process-cluster.ts";
import { Arena } from "./arena.ts";
import { Movers } from "./movers.ts";

interface Change {
  readonly add?: readonly { readonly id: string }[];
  readonly remove?: readonly string[];
  readonly abort?: boolean;
  readonly from?: number;
}

const NEVER = Infinity;

/** Two nodes: one tells of the ring as it is, the other of the ring that was before. */
class PlayedRing {
  readonly commits: Change[] = [];
  /** How often a change is looked at before it is over. */
  looks: (change: Change) => number = () => 2;
  version = 1;
  members: readonly string[] = ["r1", "r2"];
  #before = { version: 1, members: this.members };
  #open: { readonly change: Change; left: number } | null = null;

  answer(isBehind: boolean, route: string, body: string): [status: number, body: object] {
    if (route === "commit") return this.#commit(JSON.parse(body) as Change);
    if (route === "transfers") return [200, this.#transfers()];
    const { version, members } = isBehind ? this.#before : this;
    // It hears of the newest only after it has told of the one before.
    if (isBehind) this.#before = { version: this.version, members: this.members };
    return [200, { version, members: members.map((id) => ({ id })) }];
  }

  #commit(change: Change): [number, object] {
    this.commits.push(change);
    if (change.from !== this.version) return [409, { code: "ring-conflict" }];
    if (change.abort === true) this.#open = null;
    else if (this.#open !== null) return [409, { code: "ring-conflict" }];
    else this.#open = { change, left: this.looks(change) };
    return [202, {}];
  }

  #transfers(): object {
    if (this.#open !== null && this.#open.left-- <= 0) this.#end(this.#open.change);
    return { ringVersion: this.version, phase: this.#open === null ? null : "filling" };
  }

  #end({ add = [], remove = [] }: Change): void {
    this.#before = { version: this.version, members: this.members };
    const stay = this.members.filter((id) => !remove.includes(id));
    this.members = [...stay, ...add.map(({ id }) => id)];
    this.version++;
    this.#open = null;
  }
}

async function play(ring: PlayedRing) {
  const take = async (asked: IncomingMessage): Promise<[number, object]> => {
    const [, node, , , route = ""] = (asked.url ?? "").split("/");
    return ring.answer(node === "r2", route, await text(asked));
  };
  const server = createServer((asked, response) => {
    void take(asked).then(([status, body]) => {
      response.writeHead(status).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  /** Who was a member when its process was stopped. */
  const stoppedAs = new Map<string, boolean>();
  const cluster: Pick<ProcessCluster, "ids" | "urlOf" | "startNewcomer" | "stop"> = {
    ids: ["r1", "r2"],
    urlOf: (id) => `http://127.0.0.1:${port}/${id}`,
    startNewcomer: async (id, zone) => ({ id, zone, url: "" }),
    stop: async (id) => {
      stoppedAs.set(id, ring.members.includes(id));
      return 0;
    },
  };
  const arena = new Arena(cluster as ProcessCluster, Prng.fromSeed(1), () => {});
  return { movers: new Movers(arena, 1500), stoppedAs };
}

it("stops no process whose member has not left, whatever a node tells that is behind", async () => {
  const ring = new PlayedRing();
  const { movers, stoppedAs } = await play(ring);
  for (let i = 6; i < 11; i++) {
    expect(await movers.comeAndGo(`r${i}`)).toBe(true);
    expect([i, stoppedAs.get(`r${i}`), ring.version]).toEqual([i, false, 1 + 2 * (i - 5)]);
  }
  expect(movers.failures).toEqual([]);
}, 60_000);

it("calls off a change that does not end, and goes on", async () => {
  const ring = new PlayedRing();
  ring.looks = ({ add = [] }) => (add.some(({ id }) => id === "r6") ? NEVER : 2);
  const { movers, stoppedAs } = await play(ring);
  expect(await movers.comeAndGo("r6")).toBe(true);
  expect(ring.commits.map(({ abort = false }) => abort)).toEqual([false, true]);
  expect(movers.failures).toEqual([expect.stringMatching(/^r6: waited 1500 ms/)]);
  expect(await movers.comeAndGo("r7")).toBe(true);
  expect([...stoppedAs]).toEqual([
    ["r6", false],
    ["r7", false],
  ]);
}, 60_000);

it("removes a member whose leaving did not end the first time", async () => {
  const ring = new PlayedRing();
  let left = 1;
  ring.looks = ({ remove = [] }) => (remove.length > 0 && left-- > 0 ? NEVER : 2);
  const { movers, stoppedAs } = await play(ring);
  expect(await movers.comeAndGo("r6")).toBe(true);
  expect([ring.members, stoppedAs.get("r6")]).toEqual([["r1", "r2"], false]);
  expect(movers.failures).toHaveLength(1);
}, 60_000);

it("leaves a process that the ring still counts on", async () => {
  const ring = new PlayedRing();
  ring.looks = ({ remove = [] }) => (remove.length > 0 ? NEVER : 2);
  const { movers, stoppedAs } = await play(ring);
  expect(await movers.comeAndGo("r6")).toBe(false);
  expect([...stoppedAs]).toEqual([]);
  expect(movers.failures).toHaveLength(2);
}, 60_000);
