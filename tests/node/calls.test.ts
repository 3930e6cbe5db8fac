import { expect, it } from "vitest";
import type { Millis } from "../../core/time.ts";
import type { Coordinator } from "../../replica/coordination.ts";
import { Calls, type Task } from "../../src/node/peers/calls.ts";

/** @param wakeAtOf when it wants to be woken, by how often it was */
function tasked(wakeAtOf: (wokenCount: number) => Millis) {
  let wokenCount = 0;
  const coordinator: Coordinator = {
    isOver: false,
    get wakeAt() {
      return wakeAtOf(wokenCount);
    },
    start: () => {},
    reply: () => {},
    failed: () => {},
    wake: () => void wokenCount++,
  };
  const waker: { task: Task | null } = { task: null };
  const task: Task = {
    ...{ coordinator, trace: "", deadline: 1000, routeStamp: 1, joined: 1, again: null, open: [] },
    ...{ over: () => {}, isAnswered: false, alarmAt: Infinity, wokenAt: 0, wokenCount: 0, waker },
  };
  waker.task = task;
  // What these keep of peers is nothing to a task that asks none.
  const calls = new Calls(null as never, null as never);
  calls.settle(task, 0);
  return { calls, wokenCount: () => wokenCount };
}

/** As a node does it in one step. */
function wakeDue(calls: Calls, now: Millis): void {
  for (let task = calls.takeDue(now); task !== undefined; task = calls.takeDue(now)) {
    task.coordinator.wake(now);
    calls.settle(task, now);
  }
}

it("a coordinator may have several reasons to be woken at one time", () => {
  const { calls, wokenCount } = tasked((count) => (count < 5 ? 10 : Infinity));
  wakeDue(calls, 10);
  expect(wokenCount()).toBe(5);
});

it("one that is woken again and again at one time ends the step, and is not woken for ever", () => {
  const { calls } = tasked(() => 10);
  expect(() => wakeDue(calls, 10)).toThrow("waits for something later");
});

it("one that is woken often, each time later, goes on", () => {
  const { calls, wokenCount } = tasked((count) => count + 1);
  for (let now = 1; now <= 100; now++) wakeDue(calls, now);
  expect(wokenCount()).toBe(100);
});
