/**
 * A feed without end, as lines of JSON (NDJSON) or as Server-Sent Events (HTML, 9.2): the changes
 * of a look, then where the feed is now. Every event carries as its `id` a token from which nothing
 * is missed, so that a browser that reconnects may have the last few again.
 *
 * It is read by pulling: nothing is looked for before what was found is on its way.
 */
import type { Batch, FeedReader } from "./feed-reader.ts";
import { Problem } from "./problems.ts";

export type StreamForm = "ndjson" | "sse";

/** Without news a token goes out this often, in ms: below the 15 s that are promised. */
const TOKEN_MS = 10_000;
/** Between two looks that found something, in ms: one that comes at once finds little. */
const PAUSE_MS = 8;
/** After a look that failed, in ms. */
const RETRY_MS = 500;
const WAIT_MS = 5000;

const encoder = new TextEncoder();
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function textOf({ changes, token }: Batch, before: string, form: StreamForm): string {
  const lines = changes.map((change) => JSON.stringify(change));
  const last = JSON.stringify({ token });
  if (form === "ndjson") return `${[...lines, last].join("\n")}\n`;
  const events = lines.map((line) => `id: ${before}\ndata: ${line}\n\n`);
  return `${events.join("")}id: ${token}\ndata: ${last}\n\n`;
}

/**
 * @param first what the first look found: it was made before there was an answer
 * @param isEnding whether the host is about to stop
 */
export function streamOf(
  reader: FeedReader,
  first: Batch,
  of: { readonly form: StreamForm; readonly since: string; isEnding(): boolean },
): ReadableStream<Uint8Array> {
  let isOver = false;
  let token = of.since === "" ? first.token : of.since;
  let next: Batch | null = first;
  let waitMs = 0;
  let sentAt = performance.now();
  const isDue = (): boolean => performance.now() - sentAt >= TOKEN_MS;
  /** The next text to send; null when that is all. */
  const take = async (): Promise<string | null> => {
    while (!isOver && !of.isEnding()) {
      const batch = next ?? (await lookOnce(reader, waitMs));
      next = null;
      waitMs = batch === null || batch.changes.length > 0 ? 0 : WAIT_MS;
      if (batch === null) {
        await pause(RETRY_MS);
        if (isDue()) return textOf({ changes: [], token, isCaughtUp: false }, token, of.form);
      } else if (batch.changes.length > 0 || isDue() || batch === first) {
        const text = textOf(batch, token, of.form);
        token = batch.token;
        return text;
      }
    }
    return null;
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const sinceLastMs = performance.now() - sentAt;
        if (next === null && sinceLastMs < PAUSE_MS) await pause(PAUSE_MS - sinceLastMs);
        const text = await take();
        if (isOver) return;
        sentAt = performance.now();
        if (text === null) controller.close();
        else controller.enqueue(encoder.encode(text));
      },
      cancel() {
        isOver = true;
      },
    },
    { highWaterMark: 0 },
  );
}

/** null: nobody could be asked just now. */
async function lookOnce(reader: FeedReader, waitMs: number): Promise<Batch | null> {
  try {
    return await reader.look(waitMs);
  } catch (error) {
    if (error instanceof Problem) return null;
    throw error;
  }
}
