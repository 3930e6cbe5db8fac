/**
 * The network loses all that one member says, or all that it is told. The member can no longer know
 * what the others acknowledge, and must soon say so, whatever its clock says, while they go on.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";
import { ASTRAY_PROGRAM, Wires } from "./wires.ts";

const MAX_STALE_MS = 1000;
const timing = { heartbeatMs: 200, suspectAfterMs: 800, requestTimeoutMs: 600 };
const HOUR_MS = 3_600_000;
const CUT = "r2";
const ELSEWHERE = ["r1", "r3"] as const;

let cluster: ProcessCluster;
let wires: Wires;

beforeAll(async () => {
  const programOf = (): string => ASTRAY_PROGRAM;
  cluster = await startProcesses(3, { timing, programOf, flags: ["--faults"] });
  wires = await Wires.between(cluster);
}, 60_000);

afterAll(async () => {
  wires?.close();
  await cluster?.close();
});

interface Read {
  /** When it was asked. */
  readonly at: number;
  readonly status: number;
  readonly value: number;
  /** How many replicas it is from. */
  readonly answered: number;
}

async function read(via: string, staleW: number): Promise<Read> {
  const at = performance.now();
  const query = `r=1&max_stale=${MAX_STALE_MS / 1000}&stale_w=${staleW}`;
  const answer = await fetch(`${cluster.urlOf(via)}/v1/kv/cut/k?${query}`);
  const text = await answer.text();
  const quorum = answer.headers.get("starling-quorum") ?? "";
  const answered = Number(/answered=(\d+)/.exec(quorum)?.[1] ?? 0);
  return { at, status: answer.status, value: Number(text), answered };
}

async function write(value: number): Promise<void> {
  const url = `${cluster.urlOf(ELSEWHERE[value % ELSEWHERE.length] ?? "")}/v1/kv/cut/k?w=2`;
  const { status } = await fetch(url, { method: "PUT", body: String(value) });
  expect(status).toBeLessThan(300);
}

const untilAlone = (via: string): Promise<void> =>
  expect.poll(() => read(via, 1), { timeout: 20_000 }).toMatchObject({ status: 200, answered: 1 });

describe("a member cut off one way", () => {
  it.each([
    ["out", 0],
    ["in", 0],
    ["out", -HOUR_MS],
    ["in", -HOUR_MS],
    ["in", HOUR_MS],
  ] as const)(
    "stops to answer within the bound: %s, its clock off by %d ms",
    async (way, offMs) => {
      let value = 0;
      await write(++value);
      for (const id of cluster.ids) await untilAlone(id);
      wires.cut(CUT, way);
      const cutAt = performance.now();
      wires.setClock(CUT, offMs);
      const acknowledged: { readonly value: number; readonly at: number }[] = [];
      const there: Read[] = [];
      const elsewhere: Read[] = [];
      // Until long after the bound: each read there may have to wait for others in vain.
      while (performance.now() < cutAt + 2.5 * MAX_STALE_MS) {
        await write(++value);
        acknowledged.push({ value, at: performance.now() });
        there.push(await read(CUT, 1));
        for (const id of ELSEWHERE) elsewhere.push(await read(id, 2));
      }
      const isLate = ({ at }: Read): boolean => at > cutAt + MAX_STALE_MS;
      const isAnswered = ({ status }: Read): boolean => status === 200;
      expect(there.filter(isLate)).not.toEqual([]);
      expect(there.filter(isLate).filter(isAnswered)).toEqual([]);
      expect(elsewhere.filter(isLate).map(({ status }) => status)).toContain(200);
      expect(elsewhere.filter((one) => !isAnswered(one))).toEqual([]);
      for (const { at, value: seen } of [...there, ...elsewhere].filter(isAnswered)) {
        const due = acknowledged.findLast((one) => one.at < at - MAX_STALE_MS)?.value ?? 1;
        expect(seen).toBeGreaterThanOrEqual(due);
      }
      wires.mend(CUT);
      wires.setClock(CUT, 0);
      await untilAlone(CUT);
      expect((await read(CUT, 1)).value).toBe(value);
    },
    60_000,
  );
});
