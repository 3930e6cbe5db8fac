import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../replica/memory-store.ts";
import { storeContract } from "../contract/store-suite.ts";

storeContract("memory", (use) => {
  let store = new MemoryStore();
  return use({
    store,
    reopen: () => {
      store.flush();
      store = store.crash();
      return store;
    },
  });
});

const entry = (text: string) => ({
  bytes: new TextEncoder().encode(text),
  partition: 1,
  digest: 1,
  dueAt: 0,
});

describe("MemoryStore", () => {
  it("loses in a crash exactly what was not flushed", () => {
    const store = new MemoryStore();
    store.writeEntry("demo\0a", entry("first"));
    const mark = store.writtenCount;
    store.writeEntry("demo\0a", entry("second!"));
    store.writeHint("r2", "demo\0a", new Uint8Array(1));
    store.flush(mark);
    const after = store.crash();
    expect(after.summary("demo\0a")?.byteCount).toBe(5);
    expect(after.hintTargets("demo\0a")).toEqual([]);
    expect(after.recovery.clean).toBe(false);
    expect(store.crash(1).summary("demo\0a")?.byteCount).toBe(7);
    expect(store.crash(1).hintTargets("demo\0a")).toEqual([]);
    expect(store.crash(2).hintTargets("demo\0a")).toEqual(["r2"]);
  });

  it("refuses writes when it was told to be full or failed", () => {
    const store = new MemoryStore();
    store.writeEntry("demo\0a", entry("first"));
    store.setHealth("full");
    expect(() => store.writeEntry("demo\0a", entry("second"))).toThrow(/takes no writes/);
    store.writeMeta("document", new Uint8Array([1]));
    store.setHealth("failed");
    store.dropEntry("demo\0a");
    store.writeMeta("document", new Uint8Array([2]));
    expect(store.summary("demo\0a")?.byteCount).toBe(5);
    expect(store.readMeta("document")).toEqual(new Uint8Array([1]));
  });
});
