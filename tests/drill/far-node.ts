/**
 * `starling node` whose messages to other members are on their way for a time that is known: 5 ms
 * within a zone and 40 ms between two on average, one way, four fifths of that fixed and the rest
 * exponential. Each message has a delay of its own; nothing else of the node is changed except the
 * times that canaries measure: there are few of them here, so that each gets many canaries.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Transport } from "../../src/local/peers/transport.ts";
import { CANARY_TIMES } from "../../src/node/jobs/canaries.ts";

const NEAR_MS = 5;
const FAR_MS = 40;
const FIXED = 0.8;
const TIMES = [20, 40, 60];

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { cluster: { type: "string", default: "" }, id: { type: "string", default: "" } },
  strict: false,
});
const { members } = JSON.parse(readFileSync(String(values.cluster), "utf8")) as {
  members: readonly { readonly id: string; readonly zone: string }[];
};
const zoneOf = new Map(members.map(({ id, zone }) => [id, zone]));
const ownZone = zoneOf.get(String(values.id));

function delayTo(peer: string): number {
  const mean = zoneOf.get(peer) === ownZone ? NEAR_MS : FAR_MS;
  return mean * (FIXED - (1 - FIXED) * Math.log(1 - Math.random()));
}

const { send } = Transport.prototype;
Transport.prototype.send = function (to, message): void {
  // A reply goes to `peer#connection`.
  setTimeout(() => send.call(this, to, message), delayTo(to.split("#")[0] ?? ""));
};
(CANARY_TIMES as number[]).splice(0, CANARY_TIMES.length, ...TIMES);

await import(new URL("../../bin/starling.js", import.meta.url).href);
