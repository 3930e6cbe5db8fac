import { KEY } from "../replica/probe.ts";

/** A write as a frontend hands it on: a delete, if nothing is there. */
export const conditionalWrite = {
  kind: "coordinate",
  key: KEY,
  op: "op-1",
  isRetry: false,
  ageMs: 0,
  content: [],
  ttlMs: 0,
  covers: null,
  freshUntil: 0,
  ifMatch: [],
  ifNoneMatch: ["*"],
  unmodifiedSince: 0,
  rules: [
    [3, 2, 2, 0, 0, 2, 0, 2000],
    [true, true, false, false, false, false],
  ],
  zone: "a",
} as const;
