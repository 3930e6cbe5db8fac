/** A coordinator at work: what it does to the world goes through its task. */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Request } from "../../../core/messages.ts";
import type { Millis } from "../../../core/time.ts";
import type { Coordinator, Outbox } from "../../../replica/coordination.ts";
import type { Standing, Task, Waker } from "./calls.ts";
import type { TaskStart } from "./tasks.ts";

export interface TaskWorld {
  now(): Millis;
  ask(task: Task, to: ReplicaId, body: Request): void;
}

export class RunningTask<R> implements Task, Outbox<R> {
  readonly coordinator: Coordinator;
  readonly trace: string;
  readonly deadline: Millis;
  readonly routeStamp: number;
  readonly joined: number;
  readonly open: number[] = [];
  isAnswered = false;
  alarmAt: Millis = Infinity;
  wokenAt: Millis = 0;
  wokenCount = 0;
  readonly waker: Waker;
  readonly #start: TaskStart<R>;
  readonly #world: TaskWorld;

  constructor(
    start: TaskStart<R>,
    begun: { readonly at: Millis; readonly trace: string; readonly standing: Standing },
    world: TaskWorld,
  ) {
    this.#start = start;
    this.#world = world;
    this.trace = begun.trace;
    this.deadline = begun.at + start.timeoutMs;
    this.routeStamp = begun.standing.routeStamp;
    this.joined = begun.standing.joined;
    this.waker = { task: this };
    this.coordinator = start.make(this);
  }

  get again(): Task["again"] {
    return this.#start.again;
  }

  over(): void {
    this.#start.over?.();
  }

  ask(to: ReplicaId, body: Request): void {
    this.#world.ask(this, to, body);
  }

  finish(result: R): void {
    this.isAnswered = true;
    this.#start.finish(result, this.#world.now());
  }
}
