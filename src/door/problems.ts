/** Answers of the door itself: problems, never stored by anybody. */
import type { CacheStatus } from "../cache/answering.ts";
import { cacheStatus } from "../cache/answering.ts";
import type { Fields } from "../cache/fields.ts";
import { Problem, type ProblemCode, problemAnswer } from "../frontend/http/problems.ts";
import type { DoorAnswer } from "./ports.ts";

const encoder = new TextEncoder();

/** The methods that the door names. Others reach the origin too, except for the door's own. */
export const DOOR_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

export function refuse(
  code: ProblemCode,
  detail: string,
  more: { readonly isHead?: boolean; readonly status?: CacheStatus; readonly fields?: Fields } = {},
): DoorAnswer {
  const answer = problemAnswer(new Problem(code, detail), false);
  const body = encoder.encode(String(answer.body));
  const fields: Fields = [
    ...Object.entries(answer.headers).filter(([name]) => name !== "Content-Length"),
    ["Cache-Status", cacheStatus(more.status ?? { detail: code })],
    ...(more.fields ?? []),
  ];
  return {
    status: answer.status,
    fields,
    body: more.isHead === true ? null : body,
    length: body.length,
  };
}

/** The answer to an OPTIONS or TRACE that may go no further: it ends here. */
export function answerAsLast(method: string): DoorAnswer {
  const allow: Fields = [["Allow", DOOR_METHODS]];
  if (method !== "OPTIONS") {
    return refuse("method-not-allowed", "The door itself does not take TRACE.", { fields: allow });
  }
  const status = cacheStatus({ detail: "max-forwards" });
  const fields: Fields = [...allow, ["Cache-Control", "no-store"], ["Cache-Status", status]];
  return { status: 204, fields, body: null, length: null };
}
