/** Bodies in pieces, and requests that share one fetch. */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { keyOf } from "../../core/keys.ts";
import { PIECE_BYTES } from "../../core/limits.ts";
import type { Bytes, Garbage } from "../../src/door/ports.ts";
import { fieldIn, makeRig, readAll } from "./door-rig.ts";

const SIZE = 3 * PIECE_BYTES + 1000;
/** Every byte tells its place and its version. */
const bodyOf = (version: number): string =>
  Array.from({ length: SIZE / 8 }, (_, i) => `${version}${String(i).padStart(7, "0")}`).join("");

const host = [["Host", "example.com"]] as const;

describe("a long body", () => {
  it("is stored in pieces, and whole and in ranges the same as it came", async () => {
    const rig = await makeRig();
    const body = bodyOf(1);
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body });
    expect((await rig.get("/big")).text).toBe(body);
    expect((await rig.get("/big")).text).toBe(body);
    expect(rig.asked).toHaveLength(1);
    for (const [from, to] of [
      [0, 1],
      [PIECE_BYTES - 3, PIECE_BYTES + 5],
      [PIECE_BYTES, 3 * PIECE_BYTES + 10],
      [SIZE - 9, SIZE - 1],
    ] as const) {
      const part = await rig.get("/big", { Range: `bytes=${from}-${to}` });
      expect([from, part.status, part.text]).toEqual([from, 206, body.slice(from, to + 1)]);
    }
    expect(rig.asked).toHaveLength(1);
  });

  it("has pieces written with a context: no owner looks for what such a name replaces", async () => {
    const rig = await makeRig();
    const contexts: (CausalContext | null)[] = [];
    const answered = rig.backend.answer.bind(rig.backend);
    rig.backend.answer = (operation, trace) => {
      const isPiece = operation.kind === "write" && keyOf(operation.key).startsWith("p/");
      if (isPiece) contexts.push(operation.context);
      return answered(operation, trace);
    };
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body: bodyOf(1) });
    await rig.get("/big");
    expect(contexts).toEqual(Array(4).fill(CausalContext.empty));
  });

  it("has garbage looked for while it is given from what is stored", async () => {
    let made = 0;
    let most = 0;
    const garbage: Garbage = {
      made: (byteCount) => {
        made += byteCount;
        most = Math.max(most, made);
        return made >= PIECE_BYTES;
      },
      collect: () => {
        made = 0;
      },
    };
    const rig = await makeRig({}, { garbage });
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body: bodyOf(1) });
    await rig.get("/big");
    [made, most] = [0, 0];
    expect((await rig.get("/big")).text).toHaveLength(SIZE);
    expect(rig.asked).toHaveLength(1);
    // Two are made of each byte.
    expect(most).toBe(2 * PIECE_BYTES);
  });

  it("is never a mixture of two versions, while it is refreshed without pause", async () => {
    const rig = await makeRig();
    let version = 1;
    rig.reply = () => ({
      headers: { "Cache-Control": "max-age=60" },
      body: bodyOf(version++ % 10),
    });
    await rig.get("/big");
    for (let round = 0; round < 5; round++) {
      const reading = await rig.raw({
        target: "/big",
        fields: [...host, ["Range", `bytes=${PIECE_BYTES - 8}-${SIZE - 1}`]],
      });
      rig.pass(10);
      const refreshed = rig.get("/big", { "Cache-Control": "no-cache" });
      const text = await readAll(reading.body);
      await refreshed;
      const versions = new Set([...text.matchAll(/(\d)\d{7}/g)].map(([, first]) => first));
      expect([round, text.length, versions.size]).toEqual([round, SIZE - PIECE_BYTES + 8, 1]);
    }
  });

  it("keeps the tags that it came with when it is told others: its pieces have them", async () => {
    const rig = await makeRig();
    const tags: (readonly string[])[] = [];
    const answered = rig.backend.answer.bind(rig.backend);
    rig.backend.answer = (operation, trace) => {
      const isHead = operation.kind === "write" && keyOf(operation.key).startsWith("h/");
      if (isHead) tags.push(operation.content?.tags ?? []);
      return answered(operation, trace);
    };
    const headers = { "Cache-Control": "max-age=1", ETag: '"a"' };
    for (const path of ["/big", "/small"]) {
      const body = path === "/big" ? bodyOf(1) : "small";
      rig.reply = () => ({ headers: { ...headers, "Cache-Tag": "old" }, body });
      await rig.get(path);
      rig.pass(1500);
      rig.reply = () => ({ status: 304, headers: { ...headers, "Cache-Tag": "new" } });
      await rig.get(path);
      await rig.settled();
    }
    expect(tags.map((of) => of.toSorted())).toEqual([["old"], ["new", "old"], ["old"], ["new"]]);
  });

  it("breaks off where a piece is gone, rather than give a wrong byte", async () => {
    const rig = await makeRig();
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body: bodyOf(1) });
    await rig.get("/big");
    rig.backend.forget((key) => key.includes("/1") && key.includes("\0p/"));
    const answer = await rig.raw({ target: "/big", fields: host });
    await expect(readAll(answer.body)).rejects.toThrow("piece");
  });

  it("has a piece that is gone from the origin, if that has the same version still", async () => {
    const rig = await makeRig();
    const body = bodyOf(1);
    let etag = '"1"';
    rig.reply = ({ fields }) => {
      const range = /bytes=(\d+)-(\d+)/.exec(fieldIn(fields, "range") ?? "");
      const headers = { "Cache-Control": "max-age=60", ETag: etag };
      if (range === null || fieldIn(fields, "if-range") !== etag) return { headers, body };
      const [from = 0, to = 0] = range.slice(1).map(Number);
      const told = { ...headers, "Content-Range": `bytes ${from}-${to}/${SIZE}` };
      return { status: 206, headers: told, body: body.slice(from, to + 1) };
    };
    const lose = async (): Promise<void> => {
      await rig.get("/big");
      rig.backend.forget((key) => key.endsWith("/2"));
      rig.asked.length = 0;
    };
    await lose();
    expect((await rig.get("/big")).text).toBe(body);
    expect(fieldIn(rig.asked[0]?.fields ?? [], "range")).toBe(
      `bytes=${2 * PIECE_BYTES}-${SIZE - 1}`,
    );
    await lose();
    etag = '"2"';
    const changed = await rig.raw({ target: "/big", fields: host });
    await expect(readAll(changed.body)).rejects.toThrow("another version");
  });

  it("longer than the site stores is passed on", async () => {
    const rig = await makeRig({ maxObjectBytes: 10 });
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body: "x".repeat(11) });
    for (const count of [1, 2]) {
      expect((await rig.get("/big")).text).toHaveLength(11);
      expect(rig.asked).toHaveLength(count);
    }
  });
});

describe("requests for one key at the same time", () => {
  it("are one for the origin, and each has the whole answer", async () => {
    const rig = await makeRig();
    const gate = Promise.withResolvers<void>();
    rig.reply = async () => {
      await gate.promise;
      return { headers: { "Cache-Control": "max-age=60" }, body: "once" };
    };
    const all = Array.from({ length: 50 }, () => rig.get("/cold"));
    await expect.poll(() => rig.asked.length).toBe(1);
    gate.resolve();
    const answers = await Promise.all(all);
    expect(answers.map(({ text }) => text)).toEqual(Array(50).fill("once"));
    expect(rig.asked).toHaveLength(1);
    const collapsed = answers.filter(({ get }) => get("Cache-Status")?.includes("collapsed"));
    expect(collapsed).toHaveLength(49);
  });

  it("share a body while it comes", async () => {
    const rig = await makeRig();
    const gate = Promise.withResolvers<void>();
    const encoder = new TextEncoder();
    const body = (async function* (): Bytes {
      yield encoder.encode("first ");
      await gate.promise;
      yield encoder.encode("second");
    })();
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body });
    const leader = await rig.raw({ target: "/slow", fields: host });
    const follower = await rig.raw({ target: "/slow", fields: host });
    // Its bytes are counted as the origin's once, however many get them.
    expect([leader.from, follower.from]).toEqual(["origin", "cache"]);
    const early = (follower.body as Bytes)[Symbol.asyncIterator]();
    expect(new TextDecoder().decode((await early.next()).value)).toBe("first ");
    gate.resolve();
    expect(await readAll(leader.body)).toBe("first second");
    expect(new TextDecoder().decode((await early.next()).value)).toBe("second");
    expect(rig.asked).toHaveLength(1);
  });

  it("fetch for themselves where the answer is not theirs, and then do not wait any more", async () => {
    const rig = await makeRig();
    rig.reply = ({ fields }) => ({
      headers: { "Cache-Control": "max-age=60", Vary: "X-Foo" },
      body: fieldIn(fields, "x-foo") ?? "",
    });
    const foos = ["1", "2", "3"];
    const answers = await Promise.all(foos.map((foo) => rig.get("/v", { "X-Foo": foo })));
    expect(answers.map(({ text }) => text)).toEqual(foos);
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let count = 0;
    rig.reply = async () => {
      await gates[Math.min(count++, 1)]?.promise;
      return { headers: { "Cache-Control": "private" } };
    };
    const first = rig.get("/private");
    await expect.poll(() => count).toBe(1);
    gates[0]?.resolve();
    await first;
    // Hit-for-miss: both are at the origin at once.
    const both = [rig.get("/private"), rig.get("/private")];
    await expect.poll(() => count).toBe(3);
    gates[1]?.resolve();
    await Promise.all(both);
  });

  it("all hear of a fetch that fails, and the next one tries again", async () => {
    const rig = await makeRig();
    rig.reply = () => Promise.resolve({ status: 500, body: "broken" });
    const answers = await Promise.all([1, 2, 3].map(() => rig.get("/")));
    expect(answers.every((answer) => answer.status === 500)).toBe(true);
    rig.reply = () => ({ body: "mended" });
    expect((await rig.get("/")).text).toBe("mended");
  });

  it("get a truncated body from nobody but the connection that it broke on", async () => {
    const rig = await makeRig();
    const broken = (async function* (): Bytes {
      yield new TextEncoder().encode("half");
      throw new Error("cut off");
    })();
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body: broken });
    const answer = await rig.raw({ target: "/", fields: host });
    await expect(readAll(answer.body)).rejects.toThrow("cut off");
    await rig.settled().catch(() => undefined);
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body: "whole" });
    expect((await rig.get("/")).text).toBe("whole");
  });
});
