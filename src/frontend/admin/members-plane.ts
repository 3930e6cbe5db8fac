/** What operators ask about members: what a change would move, to start one, how far it is. */
import { readOr } from "../../../core/check.ts";
import type { Result, TransferStatus } from "../../../core/results.ts";
import { changedMembers, planChange } from "../../../ring/plan.ts";
import { openChange, takersOf } from "../../../ring/ring-change.ts";
import type { Backend, ClusterView } from "../backend/backend.ts";
import { run } from "../backend/run.ts";
import { readJson } from "../http/json-body.ts";
import { Problem } from "../http/problems.ts";

/** Nothing to report of it yet: it does not answer, or has not heard of the change. */
const SILENT: TransferStatus = { partitionsTotal: 0, partitionsDone: 0, keyCount: 0, byteCount: 0 };

export class MembersPlane {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** What a change of members would move; changes nothing. */
  async plan(request: Request): Promise<Response> {
    const { document } = (await this.#backend.freshView()).ring;
    const change = await readJson(request);
    const members = readOr(
      () => changedMembers(document, change),
      (problem) => new Problem("invalid-request", problem),
    );
    return Response.json(planChange(document, members));
  }

  /** Starts a change; 202 with its plan as soon as a majority of the members has agreed to it. */
  async commit(request: Request): Promise<Response> {
    const change = await readJson(request);
    if (typeof change !== "object" || change === null || Array.isArray(change)) {
      throw new Problem("invalid-request", 'A change is a JSON object like {"remove": ["r2"]}.');
    }
    const operation = { kind: "commit", change: change as Record<string, unknown> } as const;
    const { plan } = await run(this.#backend, operation);
    const headers = { Location: "/v1/cluster/transfers" };
    return Response.json(plan, { status: 202, headers });
  }

  /** How far the members are with the change that is going on; an empty list when none is. */
  async transfers(): Promise<Response> {
    const view = await this.#backend.freshView();
    const result = await run(this.#backend, { kind: "status" });
    const { ring, namespaces, defaults } = view;
    const { document } = ring;
    const { version } = document;
    const change = openChange(document);
    const resized = resizedIn(view);
    if (change === null) {
      const none = { phase: null, pending: 0, transfers: [] };
      return Response.json({ ringVersion: version, ...none, ...resized });
    }
    const sizes = new Set([defaults, ...namespaces.values()].map(({ n }) => n));
    const transfers = takersOf(document, [...sizes]).map((id) => {
      const isDone = change.phase === "settling" || change.acks.includes(id);
      return transferOf(id, { isDone, members: result.members });
    });
    const waitingFor =
      change.phase === "filling"
        ? transfers.filter(({ state }) => state !== "done").map(({ to }) => to)
        : ring.memberIds.filter((id) => !change.acks.includes(id) && !change.forced.includes(id));
    return Response.json({
      ringVersion: version,
      nextVersion: version + 1,
      phase: change.phase,
      pending: waitingFor.length,
      waitingFor,
      transfers,
      ...resized,
    });
  }
}

/** Namespaces on their way to another N, and the members that have not said yet that they are. */
function resizedIn(view: ClusterView): { readonly namespaces: readonly unknown[] } {
  const namespaces = [...view.changes].map(([namespace, { from, phase, acks }]) => {
    const { n: to } = view.namespaces.get(namespace) ?? view.defaults;
    const waitingFor = view.ring.memberIds.filter((id) => !acks.includes(id));
    return { namespace, from, to, phase, waitingFor };
  });
  return { namespaces };
}

function transferOf(
  to: string,
  of: {
    readonly isDone: boolean;
    readonly members: Extract<Result, { kind: "status" }>["members"];
  },
): Readonly<Record<"to" | "state", string>> & Readonly<Record<string, string | number>> {
  const status = new Map(of.members).get(to) ?? null;
  const { partitionsTotal, partitionsDone, keyCount, byteCount } = status?.transfer ?? SILENT;
  return {
    to,
    state: of.isDone ? "done" : status === null ? "unreachable" : "filling",
    partitions: partitionsTotal,
    partitionsDone,
    keys: keyCount,
    bytes: byteCount,
  };
}
