/** What every check of a drill works in: real processes, a clock, dice, and requests to any of them. */
import type { Prng } from "../../core/prng.ts";
import type { ProcessCluster } from "../support/process-cluster.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The node that was asked. */
  readonly via: string;
}

/** What came of a write: nobody knows after a 5xx, a time-out or a broken connection. */
export type Fate = "done" | "refused" | "unknown";

/** One thing that is checked while faults strike. */
export interface Check {
  readonly name: string;
  /** The clients; each ends by itself when the drill is over. */
  start(): readonly Promise<void>[];
  /** What broke, in words, when all has ended and the replicas agree; some may be known before. */
  finish(): Promise<readonly string[]>;
  /** In a few words, how much was done. */
  summary(): string;
}

const REQUEST_MS_MAX = 4000;
const NAMESPACE = "drill";

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

export class Arena {
  readonly cluster: ProcessCluster;
  readonly prng: Prng;
  readonly say: (line: string) => void;
  isOver = false;
  /** Some member that was wiped has not got back what it owns. */
  isRefilling = false;
  /** Members are wiped: what one of them alone has is lost then. */
  losesDisks = true;
  /** Members are joining or leaving. */
  isMoving = false;

  constructor(cluster: ProcessCluster, prng: Prng, say: (line: string) => void) {
    this.cluster = cluster;
    this.prng = prng;
    this.say = say;
  }

  /** In ms; the same clock for all clients. */
  get now(): number {
    return performance.now();
  }

  pick<T>(items: readonly T[]): T {
    return items[this.prng.below(items.length)] as T;
  }

  /** Asks whichever node comes to mind. @throws when there is no answer in time */
  async request(
    method: string,
    key: string,
    more: {
      readonly query?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    } = {},
  ): Promise<Answer> {
    const via = this.pick(this.cluster.ids);
    const { query = "", headers = {}, body } = more;
    const answer = await fetch(`${this.cluster.urlOf(via)}/v1/kv/${NAMESPACE}/${key}?${query}`, {
      method,
      headers,
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
      ...(body === undefined ? {} : { body }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, via };
  }

  /** A write, whatever comes of it. */
  async write(
    method: "PUT" | "DELETE",
    key: string,
    more: Parameters<Arena["request"]>[2] = {},
  ): Promise<{ readonly fate: Fate; readonly answer: Answer | null }> {
    try {
      const answer = await this.request(method, key, more);
      if (answer.status < 300) return { fate: "done", answer };
      // A delete that got a 404 found nothing, and so nothing is there now.
      if (method === "DELETE" && answer.status === 404) return { fate: "done", answer };
      return { fate: answer.status < 500 ? "refused" : "unknown", answer };
    } catch {
      return { fate: "unknown", answer: null };
    }
  }

  /**
   * All values that stand beside each other, and the context that covers them.
   *
   * @throws when they cannot be read
   */
  async readAll(
    key: string,
    query = "",
  ): Promise<{ readonly values: readonly string[]; readonly context: string | null }> {
    const answer = await this.request("GET", key, {
      query: `siblings=all${query}`,
      headers: { Accept: "application/json" },
    });
    const context = answer.headers.get("starling-context");
    if (![200, 300, 404].includes(answer.status)) {
      throw new Error(`a read was answered ${answer.status}`);
    }
    return { values: valuesIn(answer), context };
  }

  /** The same when nothing strikes any more: asked of all owners, until they answer. */
  async readInTheEnd(key: string): Promise<readonly string[]> {
    for (let left = 50; ; left--) {
      try {
        return (await this.readAll(key, "&r=all")).values;
      } catch (error) {
        if (left === 0) throw error;
        await sleep(100);
      }
    }
  }
}

/** Lists of elements, as values. */
export const elementsIn = (values: readonly string[]): readonly string[] =>
  values.flatMap((text) => JSON.parse(text) as string[]);

/** What an answer to `siblings=all` has: all that stand beside each other. */
export function valuesIn({ status, text }: Pick<Answer, "status" | "text">): readonly string[] {
  if (status === 404) return [];
  if (status === 200) return [text];
  const { siblings } = JSON.parse(text) as { siblings: readonly { value: string }[] };
  return siblings.map(({ value }) => Buffer.from(value, "base64").toString());
}
