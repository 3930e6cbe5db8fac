import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyOrder } from "../../replica/key-order.ts";

// Few characters of each length in UTF-8, so that prefixes and near misses are common.
const name = fc.string({
  unit: fc.constantFrom("a", "b", "\0", "é", "\uff5e", "😀"),
  maxLength: 4,
});
const key = name.map((text) => `demo\0${text}`);
const bytes = (text: string): Buffer => Buffer.from(text);
const inOrder = (keys: Iterable<string>): string[] =>
  [...keys].sort((a, b) => Buffer.compare(bytes(a), bytes(b)));

function pageOf(model: ReadonlySet<string>, at: readonly [string, string, number]): string[] {
  const [prefix, after, count] = at;
  return inOrder(model)
    .filter((each) => bytes(each).subarray(0, bytes(prefix).length).equals(bytes(prefix)))
    .filter((each) => Buffer.compare(bytes(each), bytes(after)) > 0)
    .slice(0, count);
}

describe("KeyOrder", () => {
  it("pages like a sorted set, whatever comes and goes between the pages", () => {
    const change = fc.record({ kind: fc.constantFrom("add", "drop"), key });
    const page = fc.tuple(key, key, fc.integer({ min: 1, max: 5 }));
    const step = fc.oneof(change, page);
    fc.assert(
      fc.property(fc.array(key), fc.array(step, { maxLength: 60 }), (first, steps) => {
        const order = new KeyOrder(first);
        const model = new Set(first);
        for (const each of steps) {
          if ("kind" in each) {
            order[each.kind as "add" | "drop"](each.key);
            if (each.kind === "add") model.add(each.key);
            else model.delete(each.key);
          } else expect(order.page(...each)).toEqual(pageOf(model, each));
        }
        expect(order.page("demo\0", "demo\0", 1000)).toEqual(
          pageOf(model, ["demo\0", "demo\0", 1000]),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("walks all keys page by page, none twice and none left out", () => {
    const all = new Set(Array.from({ length: 257 }, (_, i) => `demo\0${(i * 7919) % 1000}`));
    const order = new KeyOrder(all);
    const seen: string[] = [];
    for (let page = order.page("demo\0", "demo\0", 10); page.length > 0; ) {
      seen.push(...page);
      page = order.page("demo\0", page.at(-1) ?? "", 10);
    }
    expect(seen).toEqual(inOrder(all));
  });

  it("gives a page to a cursor before the prefix, and none to one behind it", () => {
    const order = new KeyOrder(["demo\0a", "demo\0b", "demo\0ba", "demo\0c"]);
    expect(order.page("demo\0b", "demo\0", 9)).toEqual(["demo\0b", "demo\0ba"]);
    expect(order.page("demo\0b", "demo\0c", 9)).toEqual([]);
    expect(() => order.page("demo\0", "", 0)).toThrow(/room/);
  });
});
