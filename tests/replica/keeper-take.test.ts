import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import type { Entry } from "../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { type Bytes, wholeOf } from "../../core/pieces.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { KEY, START } from "../laws/replica.ts";
import { plainContent } from "../support/content.ts";
import { held, newKeeper, ops, put, shown } from "./keeping.ts";

const take = (keeper: ReturnType<typeof newKeeper>, bytes: Bytes): Entry | undefined =>
  keeper.take(KEY, bytes, null, START)?.entry;
const bare = (entry: Entry): Uint8Array => encodeEntry(entry, null);

describe("an entry that came as bytes", () => {
  it("is stored as it came where it replaces what is held, in bytes of the store's own", () => {
    const writer = newKeeper();
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    take(keeper, put(writer).sharedBytes);
    const message = wholeOf(put(writer).sharedBytes);
    const came = Uint8Array.from(message);
    take(keeper, message);
    message.fill(0);
    expect(store.readEntry(KEY)).toEqual(came);
    expect(keeper.digest(KEY)).toBe(writer.digest(KEY));
  });

  it("is kept where it lies when it is long and came alone, and copied from among others", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    const writer = newKeeper();
    const value = new Uint8Array(100_000).fill(7);
    const sibling = (op: string): Uint8Array => {
      const content = plainContent(value);
      return wholeOf(put(writer, { op, content, covers: CausalContext.empty }).sharedBytes);
    };
    take(keeper, sibling("a"));
    // Joined with what is held it is what came: all that is known of the key.
    const alone = sibling("b");
    take(keeper, alone);
    expect(store.readEntry(KEY) === alone).toBe(true);
    const among = new Uint8Array(1_000_000);
    const last = sibling("c");
    among.set(last, 5);
    take(keeper, among.subarray(5, 5 + last.length));
    among.fill(0);
    expect(Buffer.compare(store.readEntry(KEY) ?? among, last)).toBe(0);
    expect(ops(keeper)).toEqual(ops(writer));
  });

  it("is stored as all that is known where it lacks a version, or has one without its body", () => {
    const [writer, keeper] = [newKeeper(), newKeeper()];
    const first = put(writer, { op: "a", ttlMs: 500 }).entry;
    take(keeper, bare(first));
    put(keeper, { op: "mine", covers: CausalContext.empty });
    const both = put(writer, { op: "b", covers: CausalContext.empty }).entry;
    const [gone] = both.siblings.filter(({ op }) => op === "a");
    const siblings = both.siblings.map((one) => (one === gone ? { ...one, content: null } : one));
    take(keeper, bare({ ...both, siblings }));
    expect(ops(keeper).toSorted()).toEqual(["a", "b", "mine"]);
    expect(held(keeper).siblings.every(({ content }) => content !== null)).toBe(true);
    const stored = decodeEntry(keeper.own(KEY).bytes ?? new Uint8Array(0));
    expect(stored.entry).toEqual(held(keeper));
  });

  it("gets the replica's own tenure, and never the sender's", () => {
    const [writer, keeper] = [newKeeper(), newKeeper()];
    const first = put(keeper);
    take(writer, first.sharedBytes);
    const { bytes: withTenure } = put(writer);
    take(keeper, withTenure);
    const stored = decodeEntry(keeper.own(KEY).bytes ?? new Uint8Array(0));
    expect(stored.entry).toEqual(held(writer));
    expect(stored.tenure).toEqual(first.tenure);
    const next = put(writer).sharedBytes;
    take(keeper, next);
    const after = decodeEntry(keeper.own(KEY).bytes ?? new Uint8Array(0));
    expect([after.entry, after.tenure]).toEqual([held(writer), first.tenure]);
    expect(put(keeper).sibling.dot).toEqual({ actor: first.sibling.dot.actor, counter: 2 });
  });

  it("is joined where each side has what the other has not", () => {
    const [one, other] = [newKeeper(), newKeeper()];
    const mine = put(one, { op: "mine" });
    const theirs = put(other, { op: "theirs" });
    const joined = take(one, theirs.sharedBytes);
    expect(ops(one).toSorted()).toEqual(["mine", "theirs"]);
    expect(joined).toEqual(held(one));
    // What was overwritten meanwhile does not come back with an entry that has it alive.
    put(one, { op: "over", covers: shown(held(one), "mine") });
    take(one, mine.sharedBytes);
    expect(ops(one).toSorted()).toEqual(["over", "theirs"]);
  });

  it("is kept for somebody else in the same way", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    const { sharedBytes } = put(newKeeper());
    keeper.take(KEY, sharedBytes, "r9", START);
    const held = [store.readHint("r9", KEY), store.readEntry(KEY)];
    expect(held).toEqual([wholeOf(sharedBytes), undefined]);
  });

  it("gives up the bodies whose time has passed, in the bytes too", () => {
    const { entry } = put(newKeeper(), { ttlMs: 500 });
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    take(keeper, put(newKeeper()).sharedBytes);
    keeper.take(KEY, bare(entry), null, START + 500);
    const { siblings } = decodeEntry(store.readEntry(KEY) ?? new Uint8Array(0)).entry;
    expect(siblings.filter(({ content }) => content === null)).toHaveLength(1);
  });

  it("is refused where it is none", () => {
    expect(() => take(newKeeper(), Uint8Array.of(1, 2, 3))).toThrow(CodecError);
  });
});
