/**
 * The cluster file: the same JSON on every node, from which each makes version 1 of the ring. Not
 * after that: once the nodes keep a ring of their own, theirs wins.
 */
import { assert } from "../core/assert.ts";
import { CodecError, checkNone, readOr } from "../core/check.ts";
import { TIMEOUT_MS_MAX } from "../core/limits.ts";
import { asObject, quoted, strangerIn } from "./foreign-json.ts";
import { checkMembers, checkShape } from "./members.ts";
import { isRingName, type RingConfig } from "./ring.ts";

/** All in milliseconds, whole, and positive but for `canaryMs`. */
export interface ClusterTiming {
  /** Between two signs of life to each peer. */
  readonly heartbeatMs: number;
  /** How long a peer may be silent before it is suspected; more than `heartbeatMs`. */
  readonly suspectAfterMs: number;
  /** Between two attempts to bring hints home. */
  readonly handoffMs: number;
  /** Between two exchanges that a replica starts by itself. */
  readonly antiEntropyMs: number;
  /** How long a request may take that names no timeout; at most 60,000. */
  readonly requestTimeoutMs: number;
  /** How long the tombstone of a delete is kept at least, even once every primary has it. */
  readonly tombstoneGraceMs: number;
  /** The same for what has expired or was evicted; `tombstoneGraceMs` where that is less. */
  readonly expiryGraceMs: number;
  /** How long a replica takes to read all of its records once, to find what has rotted. */
  readonly scrubMs: number;
  /** Between two canaries of a member, at least; 0: none, and staleness is not measured. */
  readonly canaryMs: number;
}

export interface ClusterConfig extends RingConfig {
  readonly timing: ClusterTiming;
}

/** An invalid cluster file, in one line that names the member and the mend. */
export class ClusterConfigError extends CodecError {
  override readonly name = "ClusterConfigError";
}

export const timingDefaults: ClusterTiming = {
  heartbeatMs: 1000,
  suspectAfterMs: 3000,
  handoffMs: 2000,
  antiEntropyMs: 10_000,
  requestTimeoutMs: 2000,
  tombstoneGraceMs: 3_600_000,
  expiryGraceMs: 5000,
  scrubMs: 604_800_000,
  canaryMs: 1000,
};

export interface ClusterConfigOptions {
  /** Whether every member must say where it listens: false on Workers. Default true. */
  readonly needsUrls?: boolean;
}

const PARTITIONS_DEFAULT = 256;
const N_DEFAULT = 3;

/** The longest a timer of any host can be set to: 2^31 - 1 ms, some 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;

const CONFIG_FIELDS = ["name", "partitions", "n", "members", "timing"];

/** The timing with its defaults filled in. @throws CodecError */
function checkTiming(value: unknown): ClusterTiming {
  const object = asObject(value);
  if (object === null)
    throw new CodecError(`"timing" must be an object like {"heartbeatMs": 1000}`);
  const names = Object.keys(timingDefaults) as (keyof ClusterTiming)[];
  const stranger = strangerIn(object, names);
  if (stranger !== null) throw new CodecError(`"timing": ${stranger}`);
  for (const name of names) {
    const ms = object[name] ?? timingDefaults[name];
    const most = name === "requestTimeoutMs" ? TIMEOUT_MS_MAX : TIMER_MS_MAX;
    const least = name === "canaryMs" ? 0 : 1;
    const isFine = Number.isInteger(ms) && (ms as number) >= least && (ms as number) <= most;
    if (object[name] === null || !isFine) {
      const range = `a whole number of milliseconds from ${least} to ${most}`;
      throw new CodecError(`"timing.${name}" must be ${range}; it is ${quoted(object[name])}`);
    }
  }
  const timing = { ...timingDefaults, ...object } as ClusterTiming;
  const { heartbeatMs, suspectAfterMs } = timing;
  if (suspectAfterMs <= heartbeatMs) {
    const relation = `"timing.suspectAfterMs" (${suspectAfterMs}) must be more than`;
    throw new CodecError(
      `${relation} "timing.heartbeatMs" (${heartbeatMs}): raise the first or lower the second`,
    );
  }
  return timing;
}

/** The config that a JSON value describes. @throws CodecError */
function checkConfig(value: unknown, needsUrls: boolean): ClusterConfig {
  const object = asObject(value);
  if (object === null) throw new CodecError(`it must be a JSON object with "name" and "members"`);
  const stranger = strangerIn(object, CONFIG_FIELDS);
  checkNone(stranger);
  const { name } = object;
  if (!isRingName(name)) {
    const form = `1 to 64 letters, digits or _ . -, such as "local"`;
    throw new CodecError(`"name" must be ${form}; it is ${quoted(name)}`);
  }
  const members = checkMembers(object["members"]);
  const silent = needsUrls ? members.find(({ url }) => url === "") : undefined;
  if (silent !== undefined) {
    const example = `"http://127.0.0.1:7101"`;
    throw new CodecError(
      `member ${silent.id}: "url" is missing: say where it listens, like ${example}`,
    );
  }
  const { partitions = PARTITIONS_DEFAULT, n = Math.min(N_DEFAULT, members.length) } = object;
  const shape = { partitions, n } as { partitions: number; n: number };
  const problem = checkShape(shape, members.length);
  checkNone(problem);
  const { timing: given = {} } = object;
  const timing = checkTiming(given);
  return { name, ...shape, members, timing };
}

/**
 * Reads a cluster file. The caller adds the file's name to the error's line.
 *
 * @param source the file's text, or the value that its JSON stands for
 * @throws ClusterConfigError
 */
export function parseClusterConfig(
  source: unknown,
  { needsUrls = true }: ClusterConfigOptions = {},
): ClusterConfig {
  let value = source;
  if (typeof source === "string") {
    try {
      value = JSON.parse(source);
    } catch (error) {
      const reason = error instanceof Error ? quoted(error.message).slice(1, -1) : "";
      throw new ClusterConfigError(`it is not JSON: ${reason}`);
    }
  }
  const config = readOr(
    () => checkConfig(value, needsUrls),
    (problem) => new ClusterConfigError(problem),
  );
  assert(config.n <= config.members.length, "a config is a ring that can be laid out");
  assert(config.timing.suspectAfterMs > config.timing.heartbeatMs, "its times fit together");
  return config;
}
