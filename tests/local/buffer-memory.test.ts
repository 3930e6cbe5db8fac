import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { canCountHeld } from "../../src/local/process/buffer-memory.ts";
import { BIN } from "../../src/local/process/program-files.ts";

const MODULE = new URL("../../src/local/process/buffer-memory.ts", import.meta.url);
const ASKING = `import { countHeldBuffers } from ${JSON.stringify(MODULE.href)}; countHeldBuffers();`;
const FLAG = "--external-memory-accounted-in-global-limit";
const isAsked = canCountHeld(process.versions.v8);

/** 2 GiB, of which one is held at a time, beside a heap that does not change. */
const MAKE_BUFFERS = `
const held = Array.from({ length: 300_000 }, (_, i) => ({ i }));
let last;
for (let i = 0; i < 2048; i++) {
  last = Buffer.allocUnsafeSlow(1024 * 1024);
  if (i % 8 === 0) await new Promise(setImmediate);
}
if (held.length + last.length === 0) throw new Error("both are held to the end");
`;

const run = (...args: string[]): { stdout: string; stderr: string } =>
  spawnSync(process.execPath, args, { encoding: "utf8" });

/** How often a process looked at its whole heap while buffers were made. */
function wholeLooks(before: string): number {
  const script = `${before}\n${MAKE_BUFFERS}`;
  const { stdout } = run("--trace-gc", "--input-type=module", "--eval", script);
  return stdout.split("Mark-Compact").length - 1;
}

/** Prints the flags that a program sets, and sets none. */
const LISTENING = `data:text/javascript,
  import v8 from "node:v8";
  import { syncBuiltinESMExports } from "node:module";
  v8.setFlagsFromString = (flag) => console.log(flag);
  syncBuiltinESMExports();`;

describe("memory of buffers", () => {
  it.runIf(isAsked)("makes V8 look at the whole heap far less often", () => {
    expect(wholeLooks(ASKING)).toBeLessThanOrEqual(wholeLooks("") / 2);
  });

  it("is counted so from the start of a node on", () => {
    const node = ["node", "--cluster", "no such file", "--id", "r1", "--data", "nowhere"];
    const { stdout } = run("--import", LISTENING, BIN, ...node);
    expect(stdout).toBe(isAsked ? `${FLAG}\n` : "");
  });

  it("is not counted so in what only asks nodes", () => {
    expect(run("--import", LISTENING, BIN, "completion", "bash").stdout).not.toContain(FLAG);
  });

  it("asks only a V8 that knows the flag", () => {
    const asked = ["12.4.254.21-node.57", "13.5.1", "13.6.233.10-node.20", "14.1.146.11-node.25"];
    expect(asked.map(canCountHeld)).toEqual([false, false, true, true]);
    const newer = ["14.7.0", "14.8.0", "15.0.1", ""];
    expect(newer.map(canCountHeld)).toEqual([true, false, false, false]);
    const { stderr } = run("--input-type=module", "--eval", ASKING);
    expect(stderr).not.toContain("flag");
  });
});
