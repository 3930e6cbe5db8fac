import { describe, expect, it } from "vitest";
import type { Operation } from "../../core/operations.ts";
import type { Effect } from "../../src/node/peers/boundary.ts";
import { Bench } from "./bench.ts";
import { keyWhere } from "./keys.ts";

/** A key of which r1, who is asked, holds nothing. */
const foreignKey = ({ knowledge }: Bench): string =>
  keyWhere(knowledge.ring, (owners) => !owners.includes("r1"));

const writeOf = (key: string): Operation => {
  return { kind: "write", key, options: {}, content: null, ttlMs: 0, context: null, ...always };
};
const always = { precondition: null };
const readOf = (key: string): Operation => ({ kind: "get", key, options: {}, session: null });

const askedBy = (effects: readonly Effect[], kind: string): readonly string[] =>
  effects.flatMap((effect) =>
    effect.kind === "send" && effect.message.type === "request" && effect.message.body.kind === kind
      ? [effect.to]
      : [],
  );

/** Whom a node asks first when its first request has gone unanswered for this long. */
function askedAfter(
  silenceMs: number,
  kind: "coordinate" | "read",
): readonly (readonly string[])[] {
  const bench = new Bench();
  const key = foreignKey(bench);
  const operation = kind === "read" ? readOf(key) : writeOf(key);
  const first = bench.step({ kind: "client", token: 1, trace: "", operation });
  bench.now += silenceMs;
  const second = bench.step({ kind: "client", token: 2, trace: "", operation });
  return [askedBy(first, kind), askedBy(second, kind)];
}

describe("a replica that owes answers and says nothing", () => {
  const { hedgeMs } = new Bench().knowledge.liveness;

  it("is not the next write's coordinator once the hedge delay is over", () => {
    const [first, second] = askedAfter(hedgeMs + 1, "coordinate");
    expect(second).toHaveLength(1);
    expect(second).not.toEqual(first);
  });

  it("is not waited for by the next read either", () => {
    const [first = [], second = []] = askedAfter(hedgeMs + 1, "read");
    expect(first).toHaveLength(2);
    expect(second.filter((id) => first.includes(id))).toHaveLength(1);
  });

  it("is asked as before while it may yet be in time", () => {
    const [first, second] = askedAfter(hedgeMs, "coordinate");
    expect(second).toEqual(first);
  });
});
