/** What the rooms of the HTTP contract share: frontends to ask, and what a refusal looks like. */
import { expect } from "vitest";

export interface Deployment {
  /** Frontends: any of them may take any request. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

interface Problem {
  readonly type: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly option?: string;
  readonly limit?: number;
}

/** Of the deployment under test. */
export const urls: string[] = [];
let turn = 0;
let namespaceCount = 0;

/** Every request goes to the next frontend. */
export const nextUrl = (): string => urls[turn++ % urls.length] as string;
export const freshNamespace = (): string => `suite-${Date.now().toString(36)}-${++namespaceCount}`;
export const call = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(nextUrl() + path, init);
export const put = (
  path: string,
  body: NonNullable<RequestInit["body"]>,
  headers: Record<string, string> = {},
): Promise<Response> => call(path, { method: "PUT", body, headers });

async function problem(response: Response): Promise<Problem> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return (await response.json()) as Problem;
}

export async function expectProblem(
  response: Response,
  status: number,
  code: string,
): Promise<Problem> {
  const body = await problem(response);
  expect({ status: response.status, code: body.code }).toEqual({ status, code });
  expect(body.type).toBe(`https://starling.dev/problems/${code}`);
  expect(body.status).toBe(status);
  expect(body.detail.length).toBeGreaterThan(10);
  return body;
}

export const context = (response: Response): string =>
  response.headers.get("starling-context") ?? "";
