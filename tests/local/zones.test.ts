import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import { parseClusterConfig } from "../../ring/cluster-config.ts";
import { bootstrapRing, Ring } from "../../ring/ring.ts";
import { writeClusterFile } from "../../src/cli/cluster-file.ts";
import { evenZones } from "../../src/local/process/zones.ts";

describe("the zones of members on one machine", () => {
  it("hold equally many members each, three zones or more", () => {
    expect(evenZones(1)).toEqual(["a"]);
    expect(evenZones(2)).toEqual(["a", "b"]);
    expect(evenZones(5)).toEqual(["a", "b", "c", "d", "e"]);
    expect(evenZones(6)).toEqual(["a", "b", "c", "a", "b", "c"]);
    expect(evenZones(8)).toEqual(["a", "b", "c", "d", "a", "b", "c", "d"]);
    expect(new Set(evenZones(53)).size).toBe(53);
  });

  it("give each of five members a fifth of the ring", async () => {
    const members = evenZones(5).map((zone, i) => ({
      id: `r${i + 1}`,
      zone,
      url: `http://m${i}:1`,
    }));
    const config = parseClusterConfig({ name: "t", partitions: 256, n: 3, members });
    const { document } = new Ring(bootstrapRing(config, "7"), await xxhash());
    for (const { id } of members) {
      const owned = document.assignment.filter((primaries) => primaries.includes(id)).length;
      expect(Math.abs(owned - (256 * 3) / 5)).toBeLessThan(1);
    }
  });
});

describe("a cluster file that is there already", () => {
  it("keeps its zones, in which its ring was founded, and nothing else may differ", () => {
    const dir = mkdtempSync(join(tmpdir(), "starling-zones-"));
    try {
      const layout = { count: 5, baseUrl: "http://127.0.0.1", basePort: 7100 };
      const { file } = writeClusterFile(dir, layout);
      const text = readFileSync(file, "utf8");
      writeFileSync(file, text.replace('"d"', '"a"').replace('"e"', '"b"'));
      const { members } = writeClusterFile(dir, layout);
      expect(members.map((member) => member.zone)).toEqual(["a", "b", "c", "a", "b"]);
      const mend = "use --nodes 5 --base-port 7100, or another --data";
      for (const other of [{ count: 3 }, { basePort: 7200 }]) {
        expect(() => writeClusterFile(dir, { ...layout, ...other })).toThrow(
          `${file} describes another cluster: ${mend}`,
        );
      }
      const withTls = { ...layout, baseUrl: "https://127.0.0.1" };
      expect(() => writeClusterFile(dir, withTls)).toThrow(
        "--base-port 7100 without --tls-cert, or",
      );
      const plain = readFileSync(file, "utf8");
      writeFileSync(file, plain.replaceAll("http:", "https:"));
      expect(() => writeClusterFile(dir, layout)).toThrow("--base-port 7100 with --tls-cert, or");
      writeFileSync(file, "{");
      expect(() => writeClusterFile(dir, layout)).toThrow(
        `${file} describes another cluster: use another --data`,
      );
      // As a kill in the midst of the first start leaves it.
      writeFileSync(file, "");
      expect(writeClusterFile(dir, layout).members).toHaveLength(5);
      expect(readFileSync(file, "utf8")).toBe(text);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
