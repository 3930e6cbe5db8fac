/**
 * One thread of a fleet: builds in the mistake that it is told, then runs the seeds it is given.
 */
import { parentPort, workerData } from "node:worker_threads";
import { applySabotage } from "./sabotage-hook.ts";

const { sabotage } = workerData as { readonly sabotage: string };
if (sabotage !== "") applySabotage(sabotage);
// Only now may what a sabotage changes be loaded.
const { simulate } = await import("./run.ts");

parentPort?.on("message", (seed: number) => parentPort?.postMessage(simulate(seed)));
