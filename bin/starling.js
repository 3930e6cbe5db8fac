#!/usr/bin/env node
// The way in, in plain JavaScript: an older Node hands over to the Node 24 that npm installed beside
// us, because the program itself is TypeScript that only a newer one runs as it is.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const runsTypeScript = major > 23 || (major === 22 && minor >= 18);

function handOver() {
  const newer = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  if (!existsSync(newer)) {
    process.stderr.write(
      `starling: needs Node 22.18 or later, and this is ${process.versions.node}: run "npm ci" first\n`,
    );
    process.exit(1);
  }
  const self = fileURLToPath(import.meta.url);
  // It ends with this one, also when this one is killed.
  const env = { ...process.env, STARLING_ENDS_WITH: String(process.pid) };
  const child = spawn(newer, [self, ...process.argv.slice(2)], { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
}

const [, , first] = process.argv;
if (first === "--version" || first === "-V") {
  // Asked often, and by scripts: nothing else has to be loaded for it.
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  process.stdout.write(`${JSON.parse(text).version}\n`);
} else if (runsTypeScript) await import("../src/cli/main.ts");
else handOver();
