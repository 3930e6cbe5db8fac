/** Bodies in pieces, while the ring cannot give a piece just now. */
import { describe, expect, it } from "vitest";
import { keyOf } from "../../core/keys.ts";
import { PIECE_BYTES } from "../../core/limits.ts";
import type { GetOperation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { Problem } from "../../src/frontend/http/problems.ts";
import { type DoorRig, fieldIn, makeRig, readAll } from "./door-rig.ts";

const SIZE = 2 * PIECE_BYTES + 1000;
const BODY = "0123456789abcdef".repeat(SIZE / 16 + 1).slice(0, SIZE);
const host = [["Host", "example.com"]] as const;

const failed: Result = {
  ...{ kind: "failed", context: null },
  failure: { code: "quorum-timeout", detail: "No owner has answered in time." },
};
const overloaded = (): Problem => new Problem("overloaded", "Too many large values are at work.");

/** A rig with a long body in store. @param refuses whether this attempt to read a piece fails */
async function stored(
  refuses: (operation: GetOperation) => "overloaded" | "failed" | false,
  headers: Record<string, string> = {},
): Promise<{ readonly rig: DoorRig; readonly read: GetOperation[]; readonly waited: number[] }> {
  const waited: number[] = [];
  const rig = await makeRig({}, { wait: async (ms) => void waited.push(ms) });
  const caching = { "Cache-Control": "max-age=60", ...headers };
  rig.reply = () => ({ headers: caching, body: BODY });
  await rig.get("/big");
  await rig.settled();
  waited.length = 0;
  const read: GetOperation[] = [];
  const answered = rig.backend.answer.bind(rig.backend);
  rig.backend.answer = (operation, trace) => {
    if (operation.kind !== "get" || !keyOf(operation.key).startsWith("p/")) {
      return answered(operation, trace);
    }
    read.push(operation);
    const refusal = refuses(operation);
    if (refusal === "overloaded") return Promise.reject(overloaded());
    if (refusal === "failed") return Promise.resolve(failed);
    return answered(operation, trace);
  };
  return { rig, read, waited };
}

const isSecond = ({ key }: GetOperation): boolean => key.endsWith("/1");

describe("a body whose pieces cannot be read just now", () => {
  it.each(["overloaded", "failed"] as const)("is given whole when they can be: %s", async (how) => {
    let left = 3;
    const { rig, waited } = await stored((of) => isSecond(of) && left-- > 0 && how);
    expect((await rig.get("/big")).text).toBe(BODY);
    expect(rig.asked).toHaveLength(1);
    expect(waited).toEqual(how === "overloaded" ? [100, 400, 1600] : [100]);
  });

  it("breaks off when it was waited for long enough, which is counted", async () => {
    const { rig, waited } = await stored((of) => isSecond(of) && "overloaded");
    const answer = await rig.raw({ target: "/big", fields: host });
    await expect(readAll(answer.body)).rejects.toThrow("piece");
    expect(waited).toEqual([100, 400, 1600]);
    expect(rig.metrics.text()).toContain("starling_cache_store_failures_total 1\n");
    // What cannot be read is not gone: the next one finds it.
    expect((await rig.get("/big", { Range: "bytes=0-9" })).status).toBe(206);
    expect(rig.asked).toHaveLength(1);
  });

  it("is had from the origin then, where that can tell that it has this version", async () => {
    const { rig } = await stored((of) => isSecond(of) && "failed", { ETag: '"1"' });
    rig.reply = ({ fields }) => {
      expect(fieldIn(fields, "range")).toBe(`bytes=${PIECE_BYTES}-${SIZE - 1}`);
      const range = `bytes ${PIECE_BYTES}-${SIZE - 1}/${SIZE}`;
      const headers = { ETag: '"1"', "Content-Range": range };
      return { status: 206, headers, body: BODY.slice(PIECE_BYTES) };
    };
    expect((await rig.get("/big")).text).toBe(BODY);
    expect(rig.asked).toHaveLength(2);
  });
});

describe("readers of one body at the same time", () => {
  it("share the reads of its pieces", async () => {
    const { rig, read } = await stored(() => false);
    const all = await Promise.all(Array.from({ length: 40 }, () => rig.get("/big")));
    expect(all.map(({ text }) => text === BODY)).toEqual(Array(40).fill(true));
    expect(read).toHaveLength(3);
  });

  it("each have the failure of a read that they share", async () => {
    const { rig } = await stored((of) => isSecond(of) && "overloaded");
    const bodies = await Promise.all([1, 2].map(() => rig.raw({ target: "/big", fields: host })));
    const ends = await Promise.allSettled(bodies.map(({ body }) => readAll(body)));
    expect(ends.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });
});
