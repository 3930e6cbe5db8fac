/** A door in front of a Map and an origin that is a function: requests as a host hands them in. */
import type { Fields } from "../../src/cache/fields.ts";
import { Door } from "../../src/door/door.ts";
import { DoorMetrics } from "../../src/door/door-metrics.ts";
import type {
  Bytes,
  DoorAnswer,
  DoorHost,
  DoorRequest,
  Garbage,
  Origin,
  OriginRequest,
} from "../../src/door/ports.ts";
import { siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { Problem } from "../../src/frontend/http/problems.ts";
import { MemoryBackend, testHash } from "../frontend/memory-backend.ts";
import { testRing } from "../frontend/support.ts";

export interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string> | Fields;
  readonly body?: string | Bytes;
}

export interface Answered {
  readonly status: number;
  readonly text: string;
  readonly fields: Fields;
  get(name: string): string | null;
}

export interface DoorRig {
  readonly backend: MemoryBackend;
  readonly door: Door;
  readonly metrics: DoorMetrics;
  /** What came to the origin, in order. */
  readonly asked: OriginRequest[];
  /** How the origin answers from now on. */
  reply: (request: OriginRequest) => Reply | Promise<Reply>;
  send(
    method: string,
    target: string,
    headers?: Record<string, string> | Fields,
  ): Promise<Answered>;
  get(target: string, headers?: Record<string, string> | Fields): Promise<Answered>;
  raw(request: Partial<DoorRequest>): Promise<DoorAnswer>;
  /** When all that goes on behind the answers is done. */
  settled(): Promise<void>;
  pass(ms: number): void;
}

const encoder = new TextEncoder();
const asFields = (headers: Record<string, string> | Fields): Fields =>
  Array.isArray(headers) ? (headers as Fields) : Object.entries(headers as Record<string, string>);

async function* bytesOf(text: string): Bytes {
  if (text !== "") yield encoder.encode(text);
}

export async function readAll(body: DoorAnswer["body"]): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  if (body instanceof Uint8Array) return decoder.decode(body);
  const parts: Uint8Array[] = [];
  for await (const bytes of body) parts.push(bytes);
  return decoder.decode(Buffer.concat(parts));
}

export const fieldIn = (fields: Fields, name: string): string | null => {
  const lines = fields.filter(([key]) => key.toLowerCase() === name.toLowerCase());
  return lines.length === 0 ? null : lines.map(([, value]) => value).join(", ");
};

/**
 * @param on another rig's backend, for a second frontend on the same ring, and the frontend's name
 */
export async function makeRig(
  site: Record<string, unknown> = {},
  on: {
    readonly backend?: MemoryBackend;
    readonly holder?: string;
    readonly garbage?: Garbage;
    readonly wait?: DoorHost["wait"];
  } = {},
): Promise<DoorRig> {
  const backend = on.backend ?? new MemoryBackend(await testRing());
  const settings = siteSettings({ origin: "http://origin.test", ...site }, backend.view());
  backend.namespaces.set("_site.default", settings);
  const asked: OriginRequest[] = [];
  const work: Promise<unknown>[] = [];
  const metrics = new DoorMetrics();
  let names = 0;
  const name = (): string => (names++ === 0 ? (on.holder ?? "first") : `version${names}`);
  const origin: Origin = {
    fetch: async (request) => {
      asked.push(request);
      const { status = 200, headers = {}, body = "" } = await rig.reply(request);
      const dated: Fields = [["Date", new Date(backend.nowMs).toUTCString()], ...asFields(headers)];
      const isDated = asFields(headers).some(([name]) => name === "Date");
      return {
        status,
        fields: isDated ? asFields(headers) : dated,
        body: typeof body === "string" ? bytesOf(body) : body,
      };
    },
  };
  const door = new Door({
    ...{ backend, secret: testHash, origin, metrics },
    purgeRefusal: ({ fields }) => {
      const sent = fieldIn(fields, "authorization");
      if (sent === "Bearer write") return null;
      return sent === "Bearer read"
        ? new Problem("forbidden", "Not with this token.")
        : new Problem("unauthorized", "Send a token.");
    },
    host: {
      now: () => backend.nowMs,
      uniqueName: name,
      ...(on.garbage === undefined ? {} : { garbage: on.garbage }),
      background: (promise) => {
        // Those that wait for it are told; in a test that does not wait, it must not end the
        // process.
        promise.catch(() => undefined);
        work.push(promise);
      },
      wait: on.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 5)))),
    },
  });
  const raw: DoorRig["raw"] = (request) =>
    door.handle({
      ...{ method: "GET", target: "/", scheme: "http", fields: [], body: null },
      ...{ address: "192.0.2.1", port: 8080, isFrom: () => false },
      ...request,
    });
  const send: DoorRig["send"] = async (method, target, headers = {}) => {
    const given = asFields(headers);
    const host: Fields = fieldIn(given, "host") === null ? [["Host", "example.com"]] : [];
    const answer = await raw({ method, target, fields: [...host, ...given] });
    const text = await readAll(answer.body);
    await rig.settled();
    const { status, fields } = answer;
    return { status, text, fields, get: (name) => fieldIn(fields, name) };
  };
  const rig: DoorRig = {
    ...{ backend, door, metrics, asked, raw, send },
    reply: () => ({ headers: { "Cache-Control": "max-age=60" }, body: `answer ${asked.length}` }),
    get: (target, headers) => send("GET", target, headers),
    settled: async () => {
      while (work.length > 0) await work.shift();
    },
    pass: (ms) => {
      backend.nowMs += ms;
    },
  };
  return rig;
}

/** What the door says of how it answered. */
export const status = (answer: Answered): string | null => answer.get("Cache-Status");
/** An origin's reply with these caching rules. */
export const cached = (value: string, more: Record<string, string> = {}): Reply => ({
  headers: { "Cache-Control": value, ...more },
  body: "body",
});
