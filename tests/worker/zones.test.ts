import { describe, expect, it } from "vitest";
import { locationHintOf, nearestZone } from "../../worker/zones.ts";

const at = (latitude: unknown, longitude: unknown) => ({ latitude, longitude });

describe("zones", () => {
  it("are location hints where their names are", () => {
    expect(locationHintOf("weur")).toBe("weur");
    expect(locationHintOf("rack-7")).toBeUndefined();
    expect(locationHintOf("__proto__")).toBeUndefined();
  });

  it("are found by what is nearest, over the date line too", () => {
    const zones = ["weur", "enam", "apac", "wnam", "rack-7"];
    expect(nearestZone(zones, at("48.1", "11.6"))).toBe("weur");
    expect(nearestZone(zones, at("41.9", "-87.6"))).toBe("enam");
    expect(nearestZone(zones, at("35.7", "139.7"))).toBe("apac");
    expect(nearestZone(zones, at("21.3", "-157.9"))).toBe("wnam");
    expect(nearestZone(["wnam", "oc"], at("-18", "178"))).toBe("oc");
  });

  it("are unknown without a place, or where no name is a hint", () => {
    expect(nearestZone(["weur"], undefined)).toBe("");
    expect(nearestZone(["weur"], at(undefined, "x"))).toBe("");
    expect(nearestZone(["a", "b"], at("48", "11"))).toBe("");
  });
});
