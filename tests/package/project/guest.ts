// Another Worker, with Starling bound as a KV namespace.
interface Env {
  readonly CACHE: KVNamespace;
}

export default {
  async fetch(request, { CACHE }): Promise<Response> {
    const key = new URL(request.url).pathname.slice(1);
    if (request.method === "PUT") await CACHE.put(key, await request.text());
    return new Response(await CACHE.get(key));
  },
} satisfies ExportedHandler<Env>;
