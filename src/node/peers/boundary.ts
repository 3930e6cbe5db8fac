/**
 * The node's boundary with the world: everything that can happen to it, and everything that it can
 * do. The node is `step(input, now) → effects`, synchronous; what finishes later comes back as an
 * input. One driver a host interprets the effects (see src/driver/driver.ts).
 */
import type { Message } from "../../../core/messages.ts";
import type { Operation } from "../../../core/operations.ts";
import type { Result } from "../../../core/results.ts";
import type { Duplicate } from "../knowledge/lives.ts";

/** Where a message goes or comes from: a replica's id, or the host's name for one caller. */
export type Address = string;

export type Input =
  /** A client's operation; its answer carries the same token. */
  | {
      readonly kind: "client";
      readonly token: number;
      readonly operation: Operation;
      readonly trace: string;
    }
  | { readonly kind: "message"; readonly from: Address; readonly message: Message }
  /**
   * The call will get no reply: the address refused the connection, or the connection broke.
   * `isUnsent`: nothing of the request can have come there.
   */
  | {
      readonly kind: "unreachable";
      readonly to: Address;
      readonly call: number;
      readonly isUnsent?: boolean;
    }
  /** Everything written before the flush of this token is durable, or will never be. */
  | { readonly kind: "flushed"; readonly token: number; readonly ok: boolean }
  /** A background job is to run now, whatever its interval: an alarm rang. */
  | { readonly kind: "job"; readonly name: string }
  /** Time has passed: at least `wakeAt` was reached. */
  | { readonly kind: "tick" };

export type Effect =
  | { readonly kind: "send"; readonly to: Address; readonly message: Message }
  | { readonly kind: "answer"; readonly token: number; readonly result: Result }
  | { readonly kind: "flush"; readonly token: number }
  /** Two processes run under one id. When it is this member's, the younger of them is to end. */
  | { readonly kind: "duplicate"; readonly duplicate: Duplicate; readonly isToEnd: boolean };
