/**
 * The outside world of the Worker under test when it fetches: origins, by the path that is asked
 * for. It runs in Node, beside the tests; http://log.test/PATH shows what was asked.
 */
import { type Request, Response } from "miniflare";

export interface Asked {
  readonly method: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const asked = new Map<string, Asked[]>();
const LARGE_BYTES = 1_300_000;

const fresh = { "Cache-Control": "max-age=60" };

/** Large, and each byte says where it is. */
const large = (): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: LARGE_BYTES }, (_, i) => (i * 7 + (i >> 8)) & 255);

/** @param nth how often this path has been asked for, this time included */
async function answer(path: string, nth: number): Promise<Response> {
  const [, kind = ""] = path.split("/");
  switch (kind) {
    case "page":
      return new Response(`answer ${nth}`, { headers: { ...fresh, "Cache-Tag": "pages" } });
    case "slow":
      await new Promise((resolve) => setTimeout(resolve, 300));
      return new Response(`answer ${nth}`, { headers: fresh });
    case "stale": {
      const said = "max-age=0, stale-while-revalidate=60";
      return new Response(`answer ${nth}`, { headers: { "Cache-Control": said } });
    }
    case "moved":
      return new Response(null, { status: 302, headers: { Location: "/page/elsewhere" } });
    case "down":
      if (nth > 1) return new Response("the edge's own page", { status: 522 });
      return new Response("while it was up", {
        headers: { "Cache-Control": "max-age=0, stale-if-error=60" },
      });
    case "never":
      return new Response("the edge's own page", { status: 523 });
    case "silent":
      return new Promise(() => {});
    case "large":
      return new Response(large(), { headers: { ...fresh, ETag: '"large"' } });
    case "large-chunked":
      return new Response(new Blob([large()]).stream(), { headers: { ...fresh, ETag: '"large"' } });
    case "echo":
      return new Response(null, { status: 204 });
    default:
      return new Response("no such page", { status: 404, headers: fresh });
  }
}

export async function outside(request: Request): Promise<Response> {
  const { hostname, host, pathname, search } = new URL(request.url);
  if (hostname === "log.test") return Response.json(asked.get(`${pathname}${search}`) ?? []);
  const { method } = request;
  const headers = Object.fromEntries(request.headers);
  const body = await request.text();
  const before = asked.get(`${pathname}${search}`) ?? [];
  asked.set(`${pathname}${search}`, [...before, { method, host, headers, body }]);
  return answer(pathname, before.length + 1);
}
