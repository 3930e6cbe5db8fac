/**
 * What strikes: nodes are frozen for 150 to 900 ms and killed with -9. Beside that, either disks
 * are at stake: nodes are stopped and started, and wiped, and one of them loses messages. Or what
 * nodes know of each other is at stake: wall clocks are set ahead or back by seconds to an hour and
 * put right again, and all that a node says, or is told, is lost for a while. Two nodes are away at
 * once at most.
 *
 * A node that is wiped is a disk lost. What w replicas acknowledged survives the loss of w - 1 of
 * them, so one good copy of everything is kept: no node is wiped before the last wiped one says at
 * `/readyz?owns` that it has what it owns, and before every hint is at home. Where hints do not go
 * home the wipe is not made.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Arena, sleep } from "./arena.ts";
import type { Way, Wires } from "./wires.ts";

export const STRIKES = {
  disks: ["freeze", "kill", "restart", "wipe", "lossy"],
  wires: ["freeze", "kill", "clock", "clock", "cut-out", "cut-in"],
} as const;
export type Strikes = keyof typeof STRIKES;
export type FaultKind = (typeof STRIKES)[Strikes][number];
/** What struck, and what was left out because the promises do not cover it. */
export type FaultCounts = Partial<Record<FaultKind | "wipe not made", number>>;

const FREEZE_MS_MIN = 150;
const FREEZE_MS_MAX = 900;
const DOWN_MS_MAX = 3000;
const AWAY_COUNT_MAX = 2;
const LOSSY_SHARE = 0.2;
const LOSSY_MS = 5000;
const ASTRAY_MS_MIN = 300;
const ASTRAY_MS_MAX = 4000;
const CLOCK_OFFS_MS = [-3_600_000, -3000, -700, 700, 3000, 3_600_000];
const REQUEST_MS_MAX = 2000;

interface Members {
  readonly members: readonly {
    readonly reachable: boolean;
    readonly hintsHeld: Readonly<Record<string, number>>;
  }[];
}

const OWNS_MS_MAX = 60_000;

export class Striker {
  readonly counts: FaultCounts = {};
  /** Things that a node should have done, and did not do. */
  readonly failures: string[] = [];
  readonly #arena: Arena;
  readonly #kinds: readonly FaultKind[];
  readonly #wires: Wires | null;
  readonly #away = new Set<string>();
  readonly #struck = new Set<Promise<void>>();
  #lossyUntil = 0;
  /** Nothing new strikes: strikes make hints faster than a busy machine brings them home. */
  #isStill = false;

  /** @param wires if given, they and the clocks are at stake, and otherwise the disks */
  constructor(arena: Arena, wires: Wires | null) {
    this.#arena = arena;
    this.#wires = wires;
    this.#kinds = STRIKES[wires === null ? "disks" : "wires"];
    for (const kind of this.#kinds) this.counts[kind] = 0;
  }

  /** Strikes until the drill is over; resolves when every node is back. */
  async run(): Promise<void> {
    while (!this.#arena.isOver) {
      await sleep(50 + this.#arena.prng.below(450));
      this.#strike();
    }
    await Promise.all(this.#struck);
    // Ends the last lasting fault: it would make the end wait for messages that are lost.
    for (const id of this.#arena.cluster.ids) {
      await this.#until(`${id} to be told to have no fault`, async () => {
        const answer = await this.#ask(`/v1/cluster/faults/${id}`, "DELETE", id);
        return answer.status === 204;
      });
    }
  }

  #strike(): void {
    const { ids } = this.#arena.cluster;
    const kind = this.#arena.pick<FaultKind>(["freeze", "freeze", "freeze", ...this.#kinds]);
    const here = ids.filter((id) => !this.#away.has(id));
    if (this.#isStill || this.#away.size >= AWAY_COUNT_MAX) return;
    if (kind === "wipe" && (this.#arena.isRefilling || this.#arena.isMoving)) return;
    if (kind === "lossy" && this.#arena.now < this.#lossyUntil) return;
    const id = this.#arena.pick(here);
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.#arena.say(`${kind} ${id}`);
    this.#away.add(id);
    const struck = this.#carryOut(kind, id)
      .catch((error: Error) => void this.failures.push(`${kind} ${id}: ${error.message}`))
      .finally(() => {
        this.#away.delete(id);
        this.#struck.delete(struck);
      });
    this.#struck.add(struck);
  }

  async #carryOut(kind: FaultKind, id: string): Promise<void> {
    const { cluster, prng } = this.#arena;
    switch (kind) {
      case "freeze":
        cluster.pause(id);
        await sleep(FREEZE_MS_MIN + prng.below(FREEZE_MS_MAX - FREEZE_MS_MIN));
        return cluster.resume(id);
      case "kill":
        await cluster.kill(id);
        await sleep(prng.below(DOWN_MS_MAX));
        return cluster.start(id);
      case "restart":
        await cluster.stop(id);
        return cluster.start(id);
      case "wipe":
        return this.#wipe(id);
      case "lossy":
        return this.#loseMessages(id);
      case "clock":
        return this.#setClock(id);
      case "cut-out":
      case "cut-in":
        return this.#cut(id, kind === "cut-out" ? "out" : "in");
    }
  }

  async #setClock(id: string): Promise<void> {
    this.#wires?.setClock(id, this.#arena.pick(CLOCK_OFFS_MS));
    await this.#astray();
    this.#wires?.setClock(id, 0);
  }

  /** Half of the time its clock is set as well: its knowledge grows old all the same. */
  async #cut(id: string, way: Way): Promise<void> {
    this.#wires?.cut(id, way);
    if (this.#arena.prng.chance(1, 2)) await this.#setClock(id);
    else await this.#astray();
    this.#wires?.mend(id);
  }

  #astray(): Promise<void> {
    return sleep(ASTRAY_MS_MIN + this.#arena.prng.below(ASTRAY_MS_MAX - ASTRAY_MS_MIN));
  }

  async #wipe(id: string): Promise<void> {
    const { cluster } = this.#arena;
    this.#arena.isRefilling = true;
    this.#isStill = true;
    // A hint may be one of the two copies that a write was acknowledged with.
    const areHome = await this.#until(`hints to go home`, () => this.#areHintsHome()).then(
      () => true,
      () => false,
    );
    this.#isStill = false;
    if (!areHome) {
      this.#arena.isRefilling = false;
      return this.#leaveOut(id);
    }
    await cluster.kill(id);
    rmSync(join(cluster.dir, id), { recursive: true, force: true });
    await cluster.start(id);
    void this.#untilRefilled(id);
  }

  /** As every member says of itself: without its answer, anything may be true. */
  async #areHintsHome(): Promise<boolean> {
    await this.#ask("/v1/cluster/handoff", "POST").catch(() => null);
    const { members } = (await (await this.#ask("/v1/cluster", "GET")).json()) as Members;
    return members.every(
      ({ reachable, hintsHeld }) =>
        reachable && Object.values(hintsHeld).every((count) => count === 0),
    );
  }

  #leaveOut(id: string): void {
    this.#arena.say(`${id} is not wiped: hints were not at home within a minute`);
    this.counts.wipe = (this.counts.wipe ?? 0) - 1;
    this.counts["wipe not made"] = (this.counts["wipe not made"] ?? 0) + 1;
  }

  async #untilRefilled(id: string): Promise<void> {
    const startedAt = this.#arena.now;
    try {
      await this.#until(`${id} to have what it owns`, async () => {
        const answer = await this.#ask("/readyz?owns", "GET", id);
        return answer.status === 200 || answer.status === 404;
      });
      this.#arena.say(`${id} has what it owns after ${Math.round(this.#arena.now - startedAt)} ms`);
    } catch (error) {
      if (!this.#arena.isOver && error instanceof Error) this.failures.push(error.message);
    }
    this.#arena.isRefilling = false;
  }

  async #loseMessages(id: string): Promise<void> {
    const body = JSON.stringify({ kind: "lossy", share: LOSSY_SHARE, forMs: LOSSY_MS });
    this.#lossyUntil = this.#arena.now + LOSSY_MS;
    await this.#ask(`/v1/cluster/faults/${id}`, "PUT", id, body).catch(() => null);
  }

  async #until(what: string, isDone: () => Promise<boolean>): Promise<void> {
    const giveUpAt = this.#arena.now + OWNS_MS_MAX;
    while (!(await isDone().catch(() => false))) {
      if (this.#arena.now > giveUpAt) throw new Error(`waited a minute for ${what}`);
      await sleep(100);
    }
  }

  #url(id = this.#arena.pick(this.#arena.cluster.ids)): string {
    return this.#arena.cluster.urlOf(id);
  }

  #ask(path: string, method: string, id?: string, body?: string): Promise<Response> {
    return fetch(`${this.#url(id)}${path}`, {
      method,
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
      ...(body === undefined ? (method === "POST" ? { body: "{}" } : {}) : { body }),
    });
  }
}
