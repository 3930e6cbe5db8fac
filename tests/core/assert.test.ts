import { describe, expect, it } from "vitest";
import { AssertionFailure, present } from "../../core/assert.ts";

describe("what stands at a place", () => {
  it("is given as it is, whatever it is", () => {
    const column = Uint32Array.of(0, 7);
    expect([present(column[0]), present(column[1])]).toEqual([0, 7]);
    expect([present(""), present(null), present(false)]).toEqual(["", null, false]);
  });

  it("is an error, and no 0, where an index is wrong", () => {
    const column = Uint32Array.of(0, 7);
    for (const index of [2, -1, 0.5, Number.NaN]) {
      expect(() => present(column[index])).toThrow(AssertionFailure);
    }
  });
});
