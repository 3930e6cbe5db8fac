/** What operators ask about members: what a change would move, to start it, how far it is. */
import { readOr } from "../../../core/check.ts";
import { TIMEOUT_MS_MAX } from "../../../core/limits.ts";
import type { CommitOperation } from "../../../core/operations.ts";
import type { Result, TransferStatus } from "../../../core/results.ts";
import { quoted } from "../../../ring/foreign-json.ts";
import { changedMembers, otherVersion, planChange } from "../../../ring/plan.ts";
import { openChange, takersOf } from "../../../ring/ring-change.ts";
import type { Backend, ClusterView } from "../backend/backend.ts";
import { execute } from "../backend/large-work.ts";
import { run } from "../backend/run.ts";
import { readJson } from "../http/json-body.ts";
import { Problem, problemOf } from "../http/problems.ts";

const HEAR_MAJORITY = { kind: "refresh", ofMajority: true } as const;

/** Nothing to report of it yet: it does not answer, or has not heard of the change. */
const SILENT: TransferStatus = { partitionsTotal: 0, partitionsDone: 0, keyCount: 0, byteCount: 0 };

export class MembersPlane {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** What a change of members would move; changes nothing. */
  async plan(request: Request): Promise<Response> {
    const { change, from } = await readChange(request);
    const { document } = (await this.#viewOf(from)).ring;
    if (from !== undefined && from !== document.version) {
      throw new Problem("ring-conflict", otherVersion(document.version, from));
    }
    const members = readOr(
      () => changedMembers(document, change),
      (problem) => new Problem("invalid-request", problem),
    );
    return Response.json(planChange(document, members));
  }

  /** What this node knows; it asks the others about a version that it has not heard of. */
  async #viewOf(from = 0): Promise<ClusterView> {
    const view = await this.#backend.freshView();
    if (from <= view.ring.document.version) return view;
    await execute(this.#backend, HEAR_MAJORITY, "");
    return this.#backend.view();
  }

  /** Starts a change; 202 with its plan as soon as a majority of the members has agreed to it. */
  async commit(request: Request): Promise<Response> {
    const { plan } = await run(this.#backend, { kind: "commit", ...(await readChange(request)) });
    const headers = { Location: "/v1/cluster/transfers" };
    return Response.json(plan, { status: 202, headers });
  }

  /**
   * How far the members are with the change that is going on; an empty list when none is.
   *
   * A node that was away for a moment may not have heard of a change that was answered 202. An
   * operator whom it told that nothing goes on would stop a leaving member, with all that it alone
   * has. So that is said only by what a majority knows.
   */
  async transfers(): Promise<Response> {
    const heard = await execute(this.#backend, HEAR_MAJORITY, "");
    const view = this.#backend.view();
    if (heard.kind === "failed" && openChange(view.ring.document) === null) {
      throw problemOf(heard.failure, false);
    }
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

/** What a change begins with, and what it is about; see `CommitOperation`. */
type Asked = Omit<CommitOperation, "kind">;

/** @throws Problem `invalid-request` */
async function readChange(request: Request): Promise<Asked> {
  const body = await readJson(request);
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Problem("invalid-request", 'A change is a JSON object like {"remove": ["r2"]}.');
  }
  const { from, timeout, ...change } = body as Readonly<Record<string, unknown>>;
  if (from !== undefined && !isWholeUpTo(from, Number.MAX_SAFE_INTEGER)) {
    const detail = '"from" must be the version of the ring that the change is for, as a plan says.';
    throw new Problem("invalid-request", detail);
  }
  if (timeout !== undefined && !isWholeUpTo(timeout, TIMEOUT_MS_MAX)) {
    throw new Problem("invalid-request", `"timeout" must be 1 to ${TIMEOUT_MS_MAX} ms.`);
  }
  refuseTwice(change["remove"]);
  return {
    change,
    ...(from === undefined ? {} : { from }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  };
}

/** Of the second one it would be said that there is no such member. @throws Problem */
function refuseTwice(ids: unknown): void {
  if (!Array.isArray(ids)) return;
  const twice: unknown = ids.find((id, i) => typeof id === "string" && ids.indexOf(id) < i);
  if (twice === undefined) return;
  throw new Problem("invalid-request", `"remove" names ${quoted(twice)} twice.`);
}

const isWholeUpTo = (value: unknown, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most;

/** Namespaces on their way to another N, and the members that have not yet said they are done. */
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
