/**
 * `starling node` whose wall clock and wires a drill can lead astray (wires.ts): a file says by how
 * many ms its clock is off, and its connections to other members go through the proxies that
 * another file names. Nothing else of the node is changed.
 */
import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { parseArgs } from "node:util";
import { clockFileOf, wiresFileOf } from "./wires.ts";

/** How soon a clock that is set is noticed, in ms. */
const LOOK_MS = 5;

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { data: { type: "string", default: "" } },
  strict: false,
});
const folder = String(values.data);

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

const { now } = Date;
let offMs = 0;
const look = (): void => {
  offMs = Number(textOf(clockFileOf(folder)));
};
look();
setInterval(look, LOOK_MS).unref();
Date.now = () => now() + offMs;

/** By the port of a member, that of the proxy on the way to it. */
const proxies = JSON.parse(textOf(wiresFileOf(folder)) || "{}") as Readonly<Record<string, number>>;
type Connect = (
  this: Agent,
  options: { readonly port?: number | string },
  done: unknown,
) => unknown;
const agents = Agent.prototype as unknown as { createConnection: Connect };
const { createConnection } = agents;
agents.createConnection = function (options, done) {
  const port = proxies[String(options.port)];
  return createConnection.call(this, port === undefined ? options : { ...options, port }, done);
};

await import(new URL("../../bin/starling.js", import.meta.url).href);
