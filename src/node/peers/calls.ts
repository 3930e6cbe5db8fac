/**
 * The node's open tasks and calls. A task is one coordinator at work; a call is one request that it
 * has sent. Every call ends once: by its reply, by the news that there will be none, or with its
 * task. From each the node learns how the other side is doing.
 */
import { assert } from "../../../core/assert.ts";
import { IdTable } from "../../../core/id-table.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { isAnsweredTwice, type Request } from "../../../core/messages.ts";
import type { Millis } from "../../../core/time.ts";
import type { Coordinator } from "../../../replica/coordination.ts";
import type { Liveness } from "../../../ring/liveness.ts";
import type { Latencies } from "../knowledge/latencies.ts";
import { Alarms } from "./alarms.ts";
import { isHeld } from "./request-kinds.ts";

/** The parts of the cluster document that a task goes by. */
export interface Standing {
  /** That by which its coordinator chose whom to ask, and how many (`Knowledge.routeStamp`). */
  readonly routeStamp: number;
  /** The commit by which this node was a member when it was begun; -1: it was no member. */
  readonly joined: number;
}

export interface Task extends Standing {
  readonly coordinator: Coordinator;
  readonly trace: string;
  /** Until when its calls are worth answering. */
  readonly deadline: Millis;
  /** Starts it anew with a newer cluster document; null: only the one call is asked again. */
  readonly again: ((now: Millis) => void) | null;
  /** Its calls without an answer. They are few: a Set costs more than looking through them. */
  readonly open: number[];
  /** See `TaskStart.over`. */
  over(): void;
  /** Its result is out, or was left to another task: it is not begun anew, and nobody waits. */
  isAnswered: boolean;
  /** The earliest alarm set for it; Infinity for none. */
  alarmAt: Millis;
  /** When its coordinator was woken last, and how often at that time. */
  wokenAt: Millis;
  wokenCount: number;
  readonly waker: Waker;
}

/**
 * What an alarm holds. When a task is over this refers to it no longer: otherwise everything that
 * the task refers to, the client's connection included, would be kept until the alarm rings.
 */
export interface Waker {
  task: Task | null;
}

/** More than any coordinator has reasons to be woken for at one time. */
const WAKES_MAX = 16;

/**
 * Each wake ends the reason that it came for. A coordinator that kept one would be woken for ever
 * within one step: the node would neither answer nor end, and its peers would wait for it.
 */
function woken(task: Task, now: Millis): Task {
  task.wokenCount = task.wokenAt === now ? task.wokenCount + 1 : 1;
  task.wokenAt = now;
  assert(task.wokenCount <= WAKES_MAX, "a coordinator that was woken waits for something later");
  return task;
}

export interface OpenCall {
  readonly task: Task;
  readonly to: ReplicaId;
  readonly body: Request;
  readonly sentAt: Millis;
  /** Of the cluster document that it was sent with. */
  readonly stamp: number;
  /** How often it was sent anew because the other side had an older cluster document. */
  readonly attempt: number;
}

/** The requests that all members are asked before something is forgotten for good. */
const ASKED_OF_ALL: ReadonlySet<Request["kind"]> = new Set(["confirm", "swept"]);

/** Whether a request must no longer be sent, by what was learnt since the task began. */
export function isTooLate(
  { kind }: Request,
  { routeStamp, joined }: Standing,
  now: Standing,
): boolean {
  // A replica that was removed while it was away hears of it when it hands over hints or exchanges.
  // What it holds may have been deleted since: that work ends, even if it is a member again.
  if (kind === "deliver") return joined !== now.joined;
  // There may be members now that the task does not ask, and they may hold something.
  return ASKED_OF_ALL.has(kind) && routeStamp !== now.routeStamp;
}

/** A store that nobody waits for any more, and that has not been acknowledged from its disk yet. */
interface LateStore {
  readonly to: ReplicaId;
  readonly sentAt: Millis;
}

/** How many of these are remembered, and for how long, in ms. */
const LATE_COUNT_MAX = 256;
const LATE_MS_MAX = 2000;

export class Calls {
  readonly #calls = new IdTable<OpenCall>();
  readonly #alarms = new Alarms<Waker>();
  readonly #liveness: Liveness;
  readonly #latencies: Latencies;
  readonly #late = new Map<number, LateStore>();
  #lastCall = 0;

  constructor(liveness: Liveness, latencies: Latencies) {
    this.#liveness = liveness;
    this.#latencies = latencies;
  }

  get wakeAt(): Millis {
    while (this.#alarms.next?.task === null) this.#alarms.take(Infinity);
    return this.#alarms.nextAt;
  }

  get openCount(): number {
    return this.#calls.size;
  }

  open(call: OpenCall): number {
    const id = ++this.#lastCall;
    this.#calls.add(id, call);
    call.task.open.push(id);
    if (!isHeld(call.body)) this.#liveness.asked(call.to, call.sentAt);
    return id;
  }

  /** The open call, by its number, has its reply; it is closed by this. */
  answered(id: number, call: OpenCall, now: Millis): OpenCall {
    this.#close(id, call);
    if (isHeld(call.body)) return call;
    const latencyMs = now - call.sentAt;
    this.#liveness.answered(call.to, latencyMs, now);
    this.#latencies.note(call.to, call.body.kind, latencyMs, now);
    return call;
  }

  /** A call that was over as soon as it was made. */
  answeredAtOnce(to: ReplicaId, { kind }: Request, now: Millis): void {
    this.#liveness.answered(to, 0, now);
    this.#latencies.note(to, kind, 0, now);
  }

  /** The same for a call that will get no reply. */
  refused(id: number, to: ReplicaId, now: Millis): OpenCall | undefined {
    const call = this.peek(id, to);
    if (call === undefined) return undefined;
    this.#close(id, call);
    this.#liveness.refused(to, now);
    return call;
  }

  /** The open call that a reply from there may belong to. */
  peek(id: number, from: ReplicaId): OpenCall | undefined {
    const call = this.#calls.get(id);
    return call?.to === from ? call : undefined;
  }

  /**
   * The last reply to a call whose task is over. A write mostly does not wait for the slowest disk:
   * if only replies in time counted, disks would seem faster than they are.
   */
  answeredLate(id: number, from: ReplicaId, now: Millis): void {
    const late = this.#late.get(id);
    if (late?.to !== from) return;
    this.#late.delete(id);
    const latencyMs = now - late.sentAt;
    if (latencyMs <= LATE_MS_MAX) this.#latencies.note(from, "store", latencyMs, now);
  }

  /** The call's reply was only the first of two. */
  halfAnswered(call: OpenCall): OpenCall {
    this.#liveness.heard(call.to);
    return call;
  }

  /** To be called after every event of a task: sets its alarm, closes what it left behind. */
  settle(task: Task, now: Millis): void {
    if (!task.coordinator.isOver) return this.#arm(task);
    task.over();
    for (const id of task.open) {
      const call = this.#calls.get(id);
      assert(call !== undefined, "a task's open calls are known");
      this.#calls.delete(id);
      this.#keepLate(id, call);
      if (isHeld(call.body)) continue;
      this.#liveness.ended(call.to);
      if (now >= task.deadline) this.#liveness.silent(call.to, now);
    }
    task.open.length = 0;
    task.waker.task = null;
  }

  /** Forgets a task that is begun anew elsewhere; replies to its calls are ignored. */
  abandon(task: Task): void {
    for (const id of task.open) {
      const call = this.#calls.get(id);
      assert(call !== undefined, "a task's open calls are known");
      this.#calls.delete(id);
      if (!isHeld(call.body)) this.#liveness.ended(call.to);
    }
    task.open.length = 0;
    task.waker.task = null;
  }

  /** A task whose alarm is due and that wants to be woken. */
  takeDue(now: Millis): Task | undefined {
    for (;;) {
      const waker = this.#alarms.take(now);
      if (waker === undefined) return undefined;
      const { task } = waker;
      if (task === null) continue;
      task.alarmAt = Infinity;
      if (task.coordinator.isOver) this.settle(task, now);
      else if (task.coordinator.wakeAt <= now) return woken(task, now);
      else this.#arm(task);
    }
  }

  #keepLate(id: number, { to, body, sentAt }: OpenCall): void {
    if (!isAnsweredTwice(body)) return;
    this.#late.set(id, { to, sentAt });
    if (this.#late.size <= LATE_COUNT_MAX) return;
    const [oldest] = this.#late.keys();
    if (oldest !== undefined) this.#late.delete(oldest);
  }

  #arm(task: Task): void {
    const { wakeAt } = task.coordinator;
    if (wakeAt >= task.alarmAt) return;
    task.alarmAt = wakeAt;
    this.#alarms.set(wakeAt, task.waker);
  }

  #close(id: number, { task, to, body }: OpenCall): void {
    this.#calls.delete(id);
    const at = task.open.indexOf(id);
    const last = task.open.pop();
    if (last !== undefined && last !== id) task.open[at] = last;
    if (!isHeld(body)) this.#liveness.ended(to);
  }
}
