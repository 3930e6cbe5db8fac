/**
 * A feed without end, as lines of JSON (NDJSON) or as Server-Sent Events (HTML, 9.2): the changes
 * of a look, then where the feed is now. Every event carries as its `id` a token from which nothing
 * is missed, so that a browser that reconnects may have the last few again.
 *
 * Its reader pulls: no look begins before what was last found is on its way.
 */
import { oncePer } from "../../../core/once-per.ts";
import type { FeedForm } from "../../metrics/feed-metrics.ts";
import type { Backend } from "../backend/backend.ts";
import { Problem } from "../http/problems.ts";
import { FeedLooks, type Pauses, pause } from "./feed-looks.ts";
import { type Batch, type FeedParts, type FeedReader, unlessEnding } from "./feed-reader.ts";

export type StreamForm = "ndjson" | "sse";

/** Changes of one look, where nobody says. */
export const CHANGES_COUNT_DEFAULT = 1000;
/** Without news a token goes out this often, in ms: below the 15 s that are promised. */
const TOKEN_MS = 10_000;
/** After a look that failed, in ms. */
const RETRY_MS = 250;
const WAIT_MS = 5000;
const ALONE_PAUSE_MS = 250;
const ALONE_PAUSES: Pauses = { leastMs: ALONE_PAUSE_MS, msPerChange: 0, mostMs: ALONE_PAUSE_MS };

const encoder = new TextEncoder();
const tokenLine = (token: string): string => JSON.stringify({ token });

/** The batch for all that get it in this form from this place: encoded once. */
function bytesOf(batch: Batch, before: string, form: StreamForm): Uint8Array {
  const known = encodedOf(batch);
  const name = form === "sse" ? before : "";
  const bytes = known.get(name) ?? encoder.encode(textOf(batch, before, form));
  known.set(name, bytes);
  return bytes;
}

const encodedOf = oncePer((_: Batch) => new Map<string, Uint8Array>());

function textOf({ changes, token }: Batch, before: string, form: StreamForm): string {
  const lines = changes.map((change) => JSON.stringify(change));
  if (form === "ndjson") return `${[...lines, tokenLine(token)].join("\n")}\n`;
  const events = lines.map((line) => `id: ${before}\ndata: ${line}\n\n`);
  return `${events.join("")}id: ${token}\ndata: ${tokenLine(token)}\n\n`;
}

/** Says that the stream is still there, and at which place; a comment until it has one. */
function signOfLife(place: string, form: StreamForm): Uint8Array {
  if (form === "ndjson") return encoder.encode(`${tokenLine(place)}\n`);
  return encoder.encode(place === "" ? ":\n\n" : `id: ${place}\ndata: ${tokenLine(place)}\n\n`);
}

export interface StreamPlan {
  readonly form: StreamForm;
  /** Where it begins: a token, or `beginning`; empty where the first look decides. */
  readonly since: string;
  readonly looks: FeedLooks<Batch>;
  readonly backend: Pick<Backend, "isEnding" | "onEnding">;
  /** Called once, when it is over. */
  closed(): void;
}

/** The plan of a stream, which is counted from now on. */
export const openPlan = (
  { backend, metrics }: FeedParts,
  of: Pick<StreamPlan, "form" | "since" | "looks">,
  countedAs: FeedForm = of.form,
): StreamPlan => ({
  ...of,
  backend,
  closed: metrics.opened(countedAs),
});

/**
 * For a stream that shares nothing with others, where each look is billed: what was written in a
 * quarter of a second is looked for at once.
 */
export const looksAlone = (): FeedLooks<Batch> => new FeedLooks<Batch>(ALONE_PAUSES);

class Stream {
  readonly #reader: FeedReader;
  readonly #plan: StreamPlan;
  #place: string;
  #next: Batch | null;
  #waitMs = 0;
  /** When something was last sent, in the host's own time; null before that. */
  #sentAt: number | null = null;
  #hasNews = false;
  /** How many changes it was last told, where that was all there was. */
  #foundCount = 0;
  #isOver = false;

  constructor(reader: FeedReader, first: Batch | null, plan: StreamPlan) {
    this.#reader = reader;
    this.#next = first;
    this.#plan = plan;
    this.#place = plan.since;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reader.close();
    this.#plan.closed();
  }

  /** What is to be sent next; null when that was all. */
  async take(): Promise<Uint8Array | null> {
    const bytes = await unlessEnding(this.#plan.backend, () => this.#nextBytes());
    this.#sentAt = performance.now();
    if (bytes === null) this.end();
    return bytes;
  }

  async #nextBytes(): Promise<Uint8Array | null> {
    const { looks } = this.#plan;
    if (this.#hasNews) await looks.nextTurn(this.#reader.namespace, this.#foundCount);
    return this.#find();
  }

  async #find(): Promise<Uint8Array | null> {
    const { form, backend } = this.#plan;
    while (!this.#isOver && backend.isEnding?.() !== true) {
      // A client that waits for a first word is given one.
      const hasSign = form === "sse" || this.#place !== "";
      if (this.#next === null && this.#isDue && hasSign) return signOfLife(this.#place, form);
      const batch = this.#next ?? (await this.#look());
      this.#next = null;
      this.#hasNews = batch?.isNews === true;
      this.#foundCount = batch?.isCaughtUp === true ? batch.changes.length : 0;
      this.#waitMs = batch === null || this.#hasNews ? 0 : WAIT_MS;
      if (batch === null) await pause(RETRY_MS);
      else if (this.#hasNews || this.#isDue || this.#place === "") {
        const before = this.#place === "" ? batch.token : this.#place;
        this.#place = batch.token;
        return bytesOf(batch, before, form);
      }
    }
    return null;
  }

  get #isDue(): boolean {
    return this.#sentAt === null || performance.now() - this.#sentAt >= TOKEN_MS;
  }

  /** null: nobody could be asked just now. */
  async #look(): Promise<Batch | null> {
    try {
      return await this.#reader.lookWith(this.#plan.looks, this.#waitMs);
    } catch (error) {
      if (error instanceof Problem) return null;
      throw error;
    }
  }
}

/**
 * @param first what the first look found, if there was one: it may be made before there is an
 *   answer
 */
export function streamOf(
  reader: FeedReader,
  first: Batch | null,
  plan: StreamPlan,
): ReadableStream<Uint8Array> {
  const stream = new Stream(reader, first, plan);
  let wasCancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const bytes = await stream.take();
          // Its reader may be gone by now.
          if (wasCancelled) return;
          if (bytes === null) controller.close();
          else controller.enqueue(bytes);
        } catch (error) {
          stream.end();
          throw error;
        }
      },
      cancel() {
        wasCancelled = true;
        stream.end();
      },
    },
    { highWaterMark: 0 },
  );
}
