/** A server of canned answers, and a client of it that neither waits nor throws dice. */
import { type ClientOptions, StarlingClient } from "../../src/client/index.ts";

export interface Asked {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
}

type Canned = Response | Error | ((asked: Asked) => Response | Promise<Response>);

export const CONTEXT = "Starling-Context";

export const found = (value: string, headers: Record<string, string> = {}): Response =>
  new Response(value, { headers: { [CONTEXT]: "c1", ETag: '"e1"', ...headers } });

export const stored = (status = 204, context = "c2"): Response =>
  new Response(null, { status, headers: { [CONTEXT]: context, ETag: '"e2"' } });

export const nothing = (context = "c0"): Response =>
  Response.json({ code: "not-found" }, { status: 404, headers: { [CONTEXT]: context } });

export function problem(
  status: number,
  code: string,
  headers: Record<string, string> = {},
  extras: Readonly<Record<string, unknown>> = {},
): Response {
  const body = JSON.stringify({ status, code, detail: `because of ${code}`, ...extras });
  return new Response(body, {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}

export class FakeServer {
  readonly asked: Asked[] = [];
  readonly waits: number[] = [];
  readonly #answers: Canned[];

  constructor(...answers: Canned[]) {
    this.#answers = answers;
  }

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const { method = "GET", body } = init;
    const asked = { url, method, headers: new Headers(init.headers), body };
    this.asked.push(asked);
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error("the test has no more answers");
    if (answer instanceof Error) throw answer;
    return answer instanceof Response ? answer : answer(asked);
  };

  client(options: Partial<ClientOptions> = {}): StarlingClient {
    return new StarlingClient({
      url: "http://one.example",
      namespace: "demo",
      fetch: this.fetch,
      random: () => 1,
      wait: async (ms) => {
        this.waits.push(ms);
      },
      ...options,
    });
  }
}
