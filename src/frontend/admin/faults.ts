/** `/v1/cluster/faults`: what operators and drills tell replicas to suffer. */
import { FAULT_KINDS, type Fault } from "../../../core/fault.ts";
import type { Backend } from "../backend/backend.ts";
import { run } from "../backend/run.ts";
import { readJson } from "../http/json-body.ts";
import { Problem } from "../http/problems.ts";

const MEMBERS = ["kind", "ms", "share", "forMs"];
const DELAY_MS_MAX = 60_000;
const FOR_MS_DEFAULT = 600_000;
const FOR_MS_MAX = 3_600_000;

const invalid = (detail: string): Problem => new Problem("invalid-request", detail);

function shown(fault: Fault): unknown {
  const { kind, delayMs, sharePerMille, until } = fault;
  return {
    kind,
    ...(kind === "slow" ? { ms: delayMs } : {}),
    ...(kind === "lossy" ? { share: sharePerMille / 1000 } : {}),
    until: new Date(until).toISOString(),
  };
}

function numberIn(
  body: Readonly<Record<string, unknown>>,
  name: string,
  range: { readonly least: number; readonly most: number; readonly otherwise: number | null },
): number {
  const value = body[name] ?? range.otherwise;
  if (typeof value === "number" && value >= range.least && value <= range.most) return value;
  throw invalid(`"${name}" must be a number from ${range.least} to ${range.most}.`);
}

/** @throws Problem `invalid-request` */
function readFault(body: unknown, now: number): Fault {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw invalid('A fault is a JSON object like {"kind": "slow", "ms": 200, "forMs": 60000}.');
  }
  const given = body as Readonly<Record<string, unknown>>;
  const stranger = Object.keys(given).find((name) => !MEMBERS.includes(name));
  if (stranger !== undefined) throw invalid(`A fault has ${MEMBERS.join(", ")} and nothing else.`);
  const kind = FAULT_KINDS.find((known) => known === given["kind"]);
  if (kind === undefined) throw invalid(`"kind" must be one of ${FAULT_KINDS.join(", ")}.`);
  const ms = { least: 1, most: DELAY_MS_MAX, otherwise: null };
  const share = { least: 0.001, most: 1, otherwise: null };
  const forMs = { least: 1, most: FOR_MS_MAX, otherwise: FOR_MS_DEFAULT };
  return {
    kind,
    delayMs: kind === "slow" ? Math.round(numberIn(given, "ms", ms)) : 0,
    sharePerMille: kind === "lossy" ? Math.round(numberIn(given, "share", share) * 1000) : 0,
    until: Math.round(now + numberIn(given, "forMs", forMs)),
  };
}

export class FaultPlane {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  async list(): Promise<Response> {
    const faults = await this.#run(null, undefined);
    return Response.json({
      faults: Object.fromEntries(
        faults.flatMap(([id, fault]) => (fault === null ? [] : [[id, shown(fault)]])),
      ),
    });
  }

  /** @throws Problem `invalid-request` or `not-found` */
  async set(id: string, request: Request): Promise<Response> {
    this.#checkMember(id);
    const fault = readFault(await readJson(request), this.#backend.now());
    await this.#run(id, fault);
    return Response.json(shown(fault));
  }

  /** @throws Problem `not-found` */
  async clear(id: string): Promise<Response> {
    this.#checkMember(id);
    await this.#run(id, null);
    return new Response(null, { status: 204 });
  }

  #checkMember(id: string): void {
    const { memberIds } = this.#backend.view().ring;
    if (memberIds.includes(id)) return;
    throw new Problem("not-found", `No such replica. The members are ${memberIds.join(", ")}.`);
  }

  async #run(
    replica: string | null,
    change: Fault | null | undefined,
  ): Promise<readonly (readonly [string, Fault | null])[]> {
    const operation = {
      kind: "fault",
      replica,
      ...(change === undefined ? {} : { change }),
    } as const;
    return (await run(this.#backend, operation)).faults;
  }
}
