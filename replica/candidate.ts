import type { ReplicaId } from "../core/ids.ts";

/** A replica that may take part in a request, in the order in which it is to be asked. */
export interface Candidate {
  readonly id: ReplicaId;
  /** Among the first n of the key's preference list. */
  readonly isPrimary: boolean;
  readonly zone: string;
  /** Believed to be down: asked all the same, but not waited for. */
  readonly isSuspect: boolean;
}
