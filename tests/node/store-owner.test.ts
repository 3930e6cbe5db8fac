import { expect, it } from "vitest";
import { MemoryStore } from "../../replica/memory-store.ts";
import { claimStore, ForeignStore, readOwner } from "../../src/node/knowledge/store-owner.ts";

const claim = (store: MemoryStore, id: string, more: { place?: string; cluster?: string } = {}) => {
  const { place = "here", cluster = "c" } = more;
  return claimStore({ id, store, place }, cluster);
};

it("gives a store without a name the name of whoever takes it first", () => {
  const store = new MemoryStore();
  expect(readOwner(store)).toBeNull();
  expect(claim(store, "r1")).toBe(false);
  expect(readOwner(store)).toEqual({ cluster: "c", replica: "r1", place: "here" });
  expect(claim(store, "r1")).toBe(false);
});

it("refuses another replica's store, and another cluster's, and leaves them as they are", () => {
  const store = new MemoryStore();
  claim(store, "r1");
  expect(() => claim(store, "r2")).toThrow(ForeignStore);
  expect(() => claim(store, "r1", { cluster: "d" })).toThrow(/of cluster c, not .* of cluster d/);
  expect(readOwner(store)).toEqual({ cluster: "c", replica: "r1", place: "here" });
});

it("knows a copy by its place, once", () => {
  const store = new MemoryStore();
  claim(store, "r1");
  expect(claim(store, "r1", { place: "there" })).toBe(true);
  expect(claim(store, "r1", { place: "there" })).toBe(false);
});

it("takes a store for no copy when nobody knew where it was before", () => {
  const store = new MemoryStore();
  claim(store, "r1", { place: "" });
  expect(claim(store, "r1", { place: "here" })).toBe(false);
});
