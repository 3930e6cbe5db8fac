/**
 * As many requests as some connections can make, each after the answer to the last: wrk where
 * it is installed, else a small generator in a process of its own, which is the slower of the two
 * and so flatters whatever is slow.
 */
import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { isInstalled, makeDir } from "./processes.ts";

const run = promisify(execFile);
const OWN = fileURLToPath(new URL("own-generator.ts", import.meta.url));
export const hasWrk = isInstalled("wrk");

export interface Load {
  readonly url: string;
  readonly method: "GET" | "PUT" | "POST";
  /** With `%d` for the number of the key. */
  readonly path: string;
  readonly keyCount: number;
  /** Empty for none; may name the key as the path does. */
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly connectionCount: number;
  readonly seconds: number;
  /** With it this share of the requests are GETs, and keys are Zipf-distributed: wrk alone can. */
  readonly readShare?: number;
}

export interface LoadResult {
  /** Answers with a 2xx a second. */
  readonly rate: number;
  readonly requestCount: number;
}

/** Gray et al., 1994, as in open-generator.ts; samples are drawn ahead, for Lua's sake. */
const ZIPF = `
local theta, zeta = 0.99, 0
for i = 1, count do zeta = zeta + 1 / i ^ theta end
local eta = (1 - (2 / count) ^ (1 - theta)) / (1 - (1 + 0.5 ^ theta) / zeta)
local function zipf()
  local u = math.random()
  if u * zeta < 1 then return 0 end
  if u * zeta < 1 + 0.5 ^ theta then return 1 end
  return math.floor(count * (eta * u - eta + 1) ^ (1 / (1 - theta)))
end
local picks, at = {}, 0
for i = 1, 65536 do picks[i] = (zipf() * 7919) % count + 1 end
function request()
  at = at % #picks + 1
  return (math.random() < share and reads or requests)[picks[at]]
end
`;

/** A text in Lua that nothing can break out of. */
const lua = (text: string): string => `"${text.replace(/["\\\n]/g, (c) => `\\${c}`)}"`;

function scriptFor(load: Load, seed: number): string {
  const { method, path, body, keyCount, headers = {}, readShare } = load;
  const lines = Object.entries(headers).map(([k, v]) => `wrk.headers[${lua(k)}] = ${lua(v)}`);
  return `
math.randomseed(${seed})
local requests, reads, count, share = {}, {}, ${keyCount}, ${readShare ?? 0}
${lines.join("\n")}
function init(args)
  for i = 1, count do
    local key = string.format("%06d", i)
    local path = string.gsub(${lua(path)}, "%%d", key)
    local body = string.gsub(${lua(body)}, "%%d", key)
    requests[i] = wrk.format(${lua(method)}, path, nil, body ~= "" and body or nil)
    if share > 0 then reads[i] = wrk.format("GET", path) end
  end
end
function request() return requests[math.random(count)] end
${readShare === undefined ? "" : ZIPF}
function done(summary)
  local errors = summary.errors
  local bad = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("BENCH %d %d %d\\n", summary.requests, summary.duration, bad))
end
`;
}

let lastSeed = 1;

export async function closedLoop(load: Load): Promise<LoadResult> {
  return hasWrk ? withWrk(load) : withOwn(load);
}

async function withWrk(load: Load): Promise<LoadResult> {
  const dir = makeDir();
  const script = join(dir, "load.lua");
  writeFileSync(script, scriptFor(load, ++lastSeed));
  const { url, connectionCount, seconds } = load;
  const args = ["-t1", `-c${connectionCount}`, `-d${seconds}s`, "-s", script, url];
  const { stdout } = await run("wrk", args);
  rmSync(dir, { recursive: true });
  const [, requests = "", micros = "", bad = ""] = /BENCH (\d+) (\d+) (\d+)/.exec(stdout) ?? [];
  if (Number(bad) > 0 || Number(requests) === 0) {
    throw new Error(`${bad} of ${requests} requests to ${load.method} ${url} failed`);
  }
  return { rate: (Number(requests) / Number(micros)) * 1e6, requestCount: Number(requests) };
}

async function withOwn(load: Load): Promise<LoadResult> {
  const { stdout } = await run(process.execPath, [OWN, JSON.stringify(load)]);
  return JSON.parse(stdout) as LoadResult;
}

/** One request a key, so that all of them are there. */
export async function fillKeys(load: Load): Promise<void> {
  const { url, path, keyCount, body, method, headers } = load;
  const put = async (i: number): Promise<void> => {
    const key = String(i).padStart(6, "0");
    const at = url + path.replace("%d", key);
    const init = { method, body: body.replace("%d", key), ...(headers && { headers }) };
    const response = await fetch(at, init);
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${method} ${at}: ${response.status}`);
  };
  let next = 1;
  const work = async (): Promise<void> => {
    while (next <= keyCount) await put(next++);
  };
  await Promise.all(Array.from({ length: 32 }, work));
}
