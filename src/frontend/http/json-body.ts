import { isJsonBomb } from "./batch-guard.ts";
import { readBody } from "./body.ts";
import { Problem } from "./problems.ts";

/** A request body of JSON is small here: settings, plans, faults. */
const JSON_BYTES_MAX = 1_048_576;

/** An empty body stands for `{}`. @throws Problem of `readBody`, or `invalid-request` */
export async function readJson(
  request: Request,
  byteCountMax: number = JSON_BYTES_MAX,
): Promise<unknown> {
  const bytes = await readBody(request, byteCountMax);
  if (isJsonBomb(bytes))
    throw new Problem("invalid-request", "The body nests too deeply or has too many values.");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    throw new Problem("invalid-request", "The body must be JSON.");
  }
}

/**
 * An object with only these members: a misspelt one must not be taken for one left out.
 *
 * @throws Problem of `readJson`, or `invalid-request`
 */
export async function readFields<Name extends string>(
  request: Request,
  names: readonly Name[],
): Promise<{ readonly [N in Name]?: unknown }> {
  const body = await readJson(request);
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Problem("invalid-request", "The body must be a JSON object.");
  }
  const known: readonly string[] = names;
  if (Object.keys(body).every((name) => known.includes(name))) return body;
  const members = names.map((name) => `"${name}"`).join(", ") || "none";
  throw new Problem("invalid-request", `Unknown member. The body's members here: ${members}.`);
}
