/** Answers are told apart by what they were made from: only fields that the origin was told. */
import { describe, expect, it } from "vitest";
import type { Fields } from "../../src/cache/fields.ts";
import type { DoorRequest } from "../../src/door/ports.ts";
import { fieldIn, makeRig, readAll } from "./door-rig.ts";

/** A door whose origin says what it was told in one field. */
async function tellingRig(name: string, site: Record<string, unknown>, vary: string | null) {
  const rig = await makeRig(site);
  rig.reply = ({ fields }) => ({
    headers: { "Cache-Control": "max-age=60", ...(vary === null ? {} : { Vary: vary }) },
    body: `told ${fieldIn(fields, name)}`,
  });
  return async (headers: Fields, more: Partial<DoorRequest> = {}) => {
    const fields: Fields = [["Host", "example.com"], ...headers];
    const answer = await rig.raw({ target: "/p", fields, ...more });
    const text = await readAll(answer.body);
    await rig.settled();
    const isHit = /;hit/.test(fieldIn(answer.fields, "cache-status") ?? "");
    return `${text}${isHit ? ", hit" : ""}`;
  };
}

describe("an answer is told from others by what the origin was told", () => {
  it("and not by a field that Connection names, which ends at the door", async () => {
    const language = "Accept-Language";
    const get = await tellingRig(language, {}, language);
    const named: Fields = [
      [language, "de"],
      ["Connection", `close, ${language}`],
    ];
    expect(await get(named)).toBe("told null");
    expect(await get([[language, "de"]])).toBe("told de");
    expect(await get([])).toBe("told null, hit");
  });

  it("the same where the field is part of the key", async () => {
    const get = await tellingRig("X-Device", { cacheKey: { headers: ["X-Device"] } }, null);
    const named: Fields = [
      ["X-Device", "phone"],
      ["Connection", "X-Device"],
    ];
    expect(await get(named)).toBe("told null");
    expect(await get([["X-Device", "phone"]])).toBe("told phone");
  });

  it("by X-Forwarded-For as the door made it", async () => {
    const name = "X-Forwarded-For";
    for (const [site, vary] of [
      [{}, name],
      [{ cacheKey: { headers: [name] } }, null],
    ] as const) {
      const get = await tellingRig(name, site, vary);
      expect(await get([], { address: "192.0.2.1" })).toBe("told 192.0.2.1");
      expect(await get([], { address: "192.0.2.2" })).toBe("told 192.0.2.2");
      const forged: Fields = [[name, "10.0.0.1"]];
      expect(await get(forged, { address: "192.0.2.2" })).toBe("told 192.0.2.2, hit");
    }
  });

  it("by what a site's proxies say and strangers cannot", async () => {
    const name = "X-Forwarded-Prefix";
    const get = await tellingRig(name, { trustedProxies: ["192.0.2.0/24"] }, name);
    const shop: Fields = [[name, "/shop"]];
    expect(await get(shop)).toBe("told null");
    expect(await get(shop, { isFrom: () => true })).toBe("told /shop");
    expect(await get([])).toBe("told null, hit");
  });
});
