/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/). A request that names a trace is logged
 * when it is over, and so are its requests to replicas: the `traceparent` travels with the
 * messages, as it came. Starling makes no spans of its own, and does nothing for a request without
 * a trace.
 */
import type { RequestHeaders } from "./exchange.ts";

/** Structured: one event with its fields. Never a key, a value, a token or a secret. */
export type EventLog = (event: string, fields: Readonly<Record<string, string | number>>) => void;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const INVALID_VERSION = "ff";
const ZEROS = /^0+$/;
const SAMPLED = 1;

/** A list of vendors' members: `key=value`, the key perhaps with a tenant (3.3.1). */
const STATE_MEMBER = /^[a-z0-9][a-z0-9_*/@-]{0,255}=[^,=]{0,255}[^,= ]$/;
const PRINTABLE = /^[\x20-\x7e]*$/;
const STATE_MEMBERS_MAX = 32;
const STATE_CHARS_MAX = 512;

/**
 * The trace that a text names, as version 00 spells it; empty for none. Later versions may say more
 * after the flags (4.3): the part that version 00 knows is read.
 */
export function readTraceparent(text: string): string {
  const [, version, trace = "", span = "", flags = "", more] = TRACEPARENT.exec(text) ?? [];
  if (version === undefined || version === INVALID_VERSION) return "";
  if (ZEROS.test(trace) || ZEROS.test(span)) return "";
  if (version === "00") return more === undefined ? text : "";
  const isSampled = (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED;
  return `00-${trace}-${span}-${isSampled ? "01" : "00"}`;
}

/** The trace that a request belongs to; empty when it names none. */
export function traceOf({ headers }: { readonly headers: RequestHeaders }): string {
  const header = headers.get("traceparent");
  return header === null ? "" : readTraceparent(header);
}

/** What the vendors say of a trace; empty when it is malformed, or too much to carry. */
export function readTracestate(text: string): string {
  if (text.length > STATE_CHARS_MAX || !PRINTABLE.test(text)) return "";
  const members = text
    .split(",")
    .map((member) => member.trim())
    .filter((member) => member !== "");
  const names = new Set(members.map((member) => member.split("=", 1)[0]));
  const isFine = members.length <= STATE_MEMBERS_MAX && names.size === members.length;
  return isFine && members.every((member) => STATE_MEMBER.test(member)) ? members.join(",") : "";
}

/** The fields of a line that belongs to a trace, by OpenTelemetry's names. */
export function traceFields(trace: string): Readonly<Record<string, string>> {
  const [, traceId = "", spanId = "", flags = ""] = trace.split("-");
  return { trace_id: traceId, span_id: spanId, trace_flags: flags };
}

export interface Logged {
  readonly method: string;
  /** A pattern, never a path. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  readonly code: string | null;
}

/** One line for a request that named a trace. */
export function logTraced(log: EventLog, headers: RequestHeaders, request: Logged): void {
  const header = headers.get("traceparent");
  const trace = header === null ? "" : readTraceparent(header);
  if (trace === "") return;
  const state = readTracestate(headers.get("tracestate") ?? "");
  const { method, route, status, seconds, code } = request;
  log("request", {
    ...traceFields(trace),
    ...(state === "" ? {} : { tracestate: state }),
    method,
    route,
    status,
    ms: Math.round(seconds * 10_000) / 10,
    ...(code === null ? {} : { code }),
  });
}

/** One line for what a replica was asked on behalf of a trace. */
export function logServed(
  log: EventLog,
  trace: string,
  asked: Readonly<Record<string, string>>,
): void {
  const known = readTraceparent(trace);
  if (known !== "") log("served", { ...traceFields(known), ...asked });
}
