/** Writes without a context that two coordinators mint, each in its own order. */
import { describe, expect, it } from "vitest";
import { liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import { Group, START, writeOf } from "./group.ts";
import { nameWhere } from "./keys.ts";

const AWHILE_MS = 100;

function lengthsAt(group: Group, id: string, name: string): readonly number[] {
  const { entry } = group.node(id).service?.keeper.hold(storeKey("demo", name)) ?? {};
  const live = entry === undefined ? [] : liveSiblings(entry, START);
  return live.map(({ content }) => content?.value.length ?? 0);
}

describe("two writes without a context at two coordinators, the other way round at each", () => {
  it("do not both end: one was over there with a version that its client never heard of", () => {
    const group = new Group({ count: 4 });
    const name = nameWhere(group.node("r4").knowledge.ring, (ids) => !ids.includes("r4"));
    const asked: { readonly op: string; readonly to: string }[] = [];
    const isRepeatOfFirst = ({ type, body }: Message, to: string): boolean =>
      type === "request" &&
      body.kind === "coordinate" &&
      body.op === asked[0]?.op &&
      to !== asked[0].to;
    // The one that is asked first mints both, and nobody hears it.
    group.loses = ({ type, body }, to, from) => {
      if (type === "request" && body.kind === "coordinate") asked.push({ op: body.op, to });
      return from === asked[0]?.to;
    };
    group.holdsBack = isRepeatOfFirst;
    const tokens = [10, 20].map((length) => group.begin("r4", writeOf(name, length)));
    expect(asked.map(({ to }) => to)).toEqual([asked[0]?.to, asked[0]?.to]);
    const [first, second] = tokens as [number, number];
    for (let i = 0; i < 12; i++) group.pass(AWHILE_MS);
    expect([first, second].map((token) => group.answerOf(token)?.kind)).toEqual([
      undefined,
      "written",
    ]);
    group.letGo();
    group.pass(AWHILE_MS);
    expect(group.answerOf(first)?.kind).toBe("written");
    group.loses = () => false;
    group.read("r4", name, 3);
    group.pass(AWHILE_MS);
    const owners = ["r1", "r2", "r3"].map((id) => lengthsAt(group, id, name));
    expect(owners).toEqual([[10], [10], [10]]);
  });
});
