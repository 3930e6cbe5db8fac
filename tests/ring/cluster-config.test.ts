import { describe, expect, it } from "vitest";
import {
  ClusterConfigError,
  parseClusterConfig,
  timingDefaults,
} from "../../ring/cluster-config.ts";

const members = [
  { id: "r1", zone: "a", url: "http://127.0.0.1:7101" },
  { id: "r2", zone: "b", url: "http://127.0.0.1:7102" },
  { id: "r3", zone: "c", url: "https://[::1]:7103" },
];
const [r1, r2, r3] = members;
const file = { name: "local", partitions: 256, n: 3, members };

describe("parseClusterConfig", () => {
  it("reads a cluster file and fills in what it leaves out", () => {
    const text = JSON.stringify({ ...file, timing: { heartbeatMs: 100 } });
    expect(parseClusterConfig(text)).toEqual({
      ...file,
      members: members.map((member) => ({ ...member, weight: 1 })),
      timing: { ...timingDefaults, heartbeatMs: 100 },
    });
    const short = parseClusterConfig({ name: "x", members: [{ id: "r1", url: "http://host" }] });
    expect(short).toEqual({
      name: "x",
      partitions: 256,
      n: 1,
      members: [{ id: "r1", zone: "default", url: "http://host", weight: 1 }],
      timing: timingDefaults,
    });
    expect(parseClusterConfig({ name: "x", members }).n).toBe(3);
  });

  it("takes an address with a bare slash for the address", () => {
    const config = parseClusterConfig({
      ...file,
      n: 1,
      members: [{ id: "r1", url: "http://h:1/" }],
    });
    expect(config.members[0]?.url).toBe("http://h:1");
  });

  it("asks for no address where members are found by id", () => {
    const bare = { ...file, members: members.map(({ id, zone }) => ({ id, zone })) };
    expect(parseClusterConfig(bare, { needsUrls: false }).members[2]?.url).toBe("");
    expect(() => parseClusterConfig(bare)).toThrow(`member r1: "url" is missing`);
  });

  const bad: [title: string, config: unknown, message: string][] = [
    ["no JSON", "{", "it is not JSON: "],
    ["a list", [file], "it must be a JSON object"],
    ["a text of a list", "[]", "it must be a JSON object"],
    [
      "an unknown member",
      { ...file, replicas: 3 },
      `"replicas" is not known here: remove it, or use`,
    ],
    ["no name", { members }, `"name" must be`],
    ["a name that is a path", { ...file, name: "../x" }, `"name" must be`],
    ["no members", { ...file, members: [] }, `"members" must be a list of at least one`],
    ["members that are none", { ...file, members: ["r1"] }, "members[0] must be an object"],
    ["a member without id", { ...file, members: [{ zone: "a" }] }, `members[0]: "id" must be`],
    ["an id with a slash", { ...file, members: [{ ...r1, id: "r/1" }] }, `it is "r/1"`],
    ["two of one id", { ...file, members: [r1, r2, { ...r3, id: "r1" }] }, `two of id "r1"`],
    ["two at one url", { ...file, members: [r1, r2, { ...r3, url: r1?.url }] }, "another port"],
    ["a zone that is a number", { ...file, members: [{ ...r1, zone: 1 }] }, `(r1): "zone" must be`],
    ["a weight of 0", { ...file, members: [{ ...r1, weight: 0 }] }, `(r1): "weight" must be`],
    ["a weight of 1.5", { ...file, members: [{ ...r1, weight: 1.5 }] }, "it is 1.5"],
    [
      "a member's stray field",
      { ...file, members: [{ ...r1, port: 1 }] },
      `(r1): "port" is not known`,
    ],
    ["twelve partitions", { ...file, partitions: 12 }, `"partitions" must be a power of two`],
    ["partitions as text", { ...file, partitions: "256" }, `it is "256"`],
    ["131,072 partitions", { ...file, partitions: 131_072 }, "from 1 to 65536"],
    ["n above the members", { ...file, n: 4 }, `"n" is 4 with 3 in "members": lower "n" or add`],
    ["n of 0", { ...file, n: 0 }, `"n" must be a whole number from 1 to 5; it is 0`],
    ["a null for n", { ...file, n: null }, "it is null"],
    ["timing that is none", { ...file, timing: 5 }, `"timing" must be an object`],
    ["an unknown time", { ...file, timing: { gossipMs: 1 } }, `"timing": "gossipMs" is not known`],
    ["a time of 0", { ...file, timing: { handoffMs: 0 } }, `"timing.handoffMs" must be`],
    ["a time that is null", { ...file, timing: { handoffMs: null } }, "it is null"],
    ["a time beyond timers", { ...file, timing: { handoffMs: 2 ** 31 } }, "from 1 to 2147483647"],
    ["a timeout over a minute", { ...file, timing: { requestTimeoutMs: 60_001 } }, "to 60000"],
    [
      "suspicion before the second heartbeat",
      { ...file, timing: { heartbeatMs: 3000 } },
      `"timing.suspectAfterMs" (3000) must be more than "timing.heartbeatMs" (3000)`,
    ],
    ["a field called __proto__", `{"__proto__":{},"name":"x"}`, `"__proto__" is not known`],
  ];

  it.each(bad)("refuses %s in one line", (_title, config, message) => {
    const parse = () => parseClusterConfig(config);
    expect(parse).toThrow(ClusterConfigError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(/^[ -~]+$/);
  });

  it.each([
    "ftp://h:1",
    "127.0.0.1:7101",
    "http://",
    "http://h:0",
    "http://h:65536",
    "http://h:1/path",
    "http://h:1?x",
    "http://user:secret@h:1",
    "http://h h:1",
    `http://${"h".repeat(400)}`,
    7101,
  ])("refuses the address %s", (url) => {
    const config = { ...file, n: 1, members: [{ id: "r1", url }] };
    expect(() => parseClusterConfig(config)).toThrow(`(r1): "url" must be http://host:port`);
  });

  it("bounds the work of laying the ring out", () => {
    const many = Array.from({ length: 100 }, (_, i) => ({
      id: `r${i}`,
      url: `http://h:${7000 + i}`,
    }));
    const config = { ...file, partitions: 65_536, members: many };
    expect(() => parseClusterConfig(config)).toThrow("at most 16384 for 100 members");
    expect(parseClusterConfig({ ...config, partitions: 16_384 }).partitions).toBe(16_384);
  });
});
