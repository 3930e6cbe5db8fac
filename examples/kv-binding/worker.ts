/**
 * A guest book on Workers KV's own API. `env.CACHE` is typed as a KV namespace and is one in every
 * line here but one: the service binding in wrangler.toml leads to Starling.
 */
interface Env {
  readonly CACHE: KVNamespace;
}

interface Entry {
  readonly by: string;
  readonly text: string;
}

const PREFIX = "entry/";
const WEEK_SECONDS = 7 * 86_400;

async function sign(request: Request, cache: KVNamespace): Promise<Response> {
  const { by, text } = (await request.json()) as Entry;
  const key = `${PREFIX}${Date.now()}-${crypto.randomUUID()}`;
  const options = { expirationTtl: WEEK_SECONDS, metadata: { by } };
  await cache.put(key, JSON.stringify({ by, text }), options);
  return Response.json({ key }, { status: 201 });
}

async function show(cache: KVNamespace): Promise<Response> {
  const { keys, list_complete: isAll } = await cache.list<{ by: string }>({
    prefix: PREFIX,
    limit: 100,
  });
  const names = keys.map(({ name }) => name);
  const entries = names.length === 0 ? new Map() : await cache.get<Entry>(names, "json");
  return Response.json({ entries: [...entries.values()], isAll });
}

/** What KV has no words for: how many replicas this one read waits for. */
async function showOne(key: string, cache: KVNamespace): Promise<Response> {
  const fast = { type: "text", r: 1 } as const;
  const strict = { type: "text", consistency: "strict" } as const;
  const [near, sure] = await Promise.all([cache.get(key, fast), cache.get(key, strict)]);
  return Response.json({ near, sure }, { status: sure === null ? 404 : 200 });
}

export default {
  fetch(request, { CACHE }): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") return sign(request, CACHE);
    if (pathname === "/") return show(CACHE);
    return showOne(decodeURIComponent(pathname.slice(1)), CACHE);
  },
} satisfies ExportedHandler<Env>;
