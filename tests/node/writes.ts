import { RULES } from "../core/message-samples.ts";
import { KEY } from "../replica/probe.ts";

/** A write as a frontend hands it on: a delete, if nothing is there. */
export const conditionalWrite = {
  kind: "coordinate",
  key: KEY,
  op: "op-1",
  isRetry: false,
  ageMs: 0,
  content: null,
  ttlMs: 0,
  covers: null,
  freshUntil: 0,
  ifMatch: [],
  ifNoneMatch: ["*"],
  unmodifiedSince: 0,
  rules: RULES,
  zone: "a",
} as const;
