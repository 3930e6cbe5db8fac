/** Answers of the door itself: problems, never stored by anybody. */
import type { CacheStatus } from "../cache/answering.ts";
import { cacheStatus } from "../cache/answering.ts";
import type { Fields } from "../cache/fields.ts";
import { Problem, type ProblemCode, problemAnswer } from "../frontend/http/problems.ts";
import type { DoorAnswer } from "./ports.ts";

const encoder = new TextEncoder();

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
