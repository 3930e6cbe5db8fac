#!/usr/bin/env node
// The way in, in plain JavaScript. An installed package has what was built of the sources. A checkout
// has the sources themselves, which only a newer Node runs as they are: an older one hands over to
// the Node 24 that npm installed beside us.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import module from "node:module";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const runsTypeScript = major > 23 || (major === 22 && minor >= 18);
const isCheckout = existsSync(new URL("../src/cli/main.ts", import.meta.url));
// What was compiled once is not compiled at the next start.
module.enableCompileCache?.();

function refuse(needed, mend) {
  const line = `starling: needs Node ${needed} or later, and this is ${process.versions.node}: ${mend}`;
  process.stderr.write(`${line}\n`);
  process.exit(1);
}

function handOver() {
  const newer = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  if (!existsSync(newer)) refuse("22.18", 'run "npm ci" first');
  const self = fileURLToPath(import.meta.url);
  // It ends with this one, also when this one is killed.
  const env = { ...process.env, STARLING_ENDS_WITH: String(process.pid) };
  const child = spawn(newer, [self, ...process.argv.slice(2)], { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", ({ code }) => {
    process.stderr.write(`starling: ${newer} cannot be run (${code}): run "npm ci" again\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
}

const [, , first] = process.argv;
if (first === "--version" || first === "-V") {
  // Asked often, and by scripts: nothing else has to be loaded for it.
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  process.stdout.on("error", ({ code }) => {
    if (code === "EPIPE") process.exit(0);
    process.stderr.write(`starling: stdout cannot be written (${code})\n`);
    process.exit(1);
  });
  process.stdout.write(`${JSON.parse(text).version}\n`);
} else if (!isCheckout) {
  if (major < 22) refuse("22", "install a newer one from https://nodejs.org");
  await import("../dist/cli.js");
} else if (runsTypeScript) await import("../src/cli/main.ts");
else handOver();
