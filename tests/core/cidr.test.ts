import { describe, expect, it } from "vitest";
import { isCidr, isWithin } from "../../core/cidr.ts";

describe("a block of addresses", () => {
  it.each([
    ["192.0.2.7", "192.0.2.0/24"],
    ["192.0.2.7", "192.0.2.7"],
    ["192.0.2.7", "0.0.0.0/0"],
    ["::ffff:192.0.2.7", "192.0.2.0/24"],
    ["2001:db8::1", "2001:db8::/32"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::1", "::/0"],
  ])("has %s in %s", (address, block) => {
    expect(isWithin(address, ["198.51.100.0/24", block])).toBe(true);
  });

  it.each([
    ["192.0.3.7", "192.0.2.0/24"],
    ["192.0.2.8", "192.0.2.7"],
    ["2001:db9::1", "2001:db8::/32"],
    ["::1", "0.0.0.0/0"],
    ["192.0.2.7", "::/0"],
    ["", "0.0.0.0/0"],
    ["999.0.2.7", "0.0.0.0/0"],
    ["192.0.2.7", "not a block"],
  ])("has not %s in %s", (address, block) => {
    expect(isWithin(address, [block])).toBe(false);
  });
});

describe("what is an address or a block", () => {
  it.each([
    ["1.2.3.4", "0.0.0.0/0", "10.0.0.0/32", "::1", "::/0", "2001:db8::/128", "::ffff:10.0.0.1/128"],
  ])("is %s, %s …", (...texts) => {
    expect(texts.filter((text) => !isCidr(text))).toEqual([]);
  });

  it.each([
    ["", "nobody", "1.2.3", "256.0.0.1", "1.2.3.4/33", "1.2.3.4/99", "1.2.3.4/", "1.2.3.4/-1"],
    ["1.2.3.4/8/8", "::1/129", "::1/", "1:2", ":::", "[::1]", "1.2.3.4/08", "1.2.3.4:80", "::1 "],
  ])("is not %s, %s …", (...texts) => {
    expect(texts.filter(isCidr)).toEqual([]);
  });
});
