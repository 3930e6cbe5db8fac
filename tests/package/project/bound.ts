// A Worker whose Env is what wrangler makes of both configurations: the binding's own type.
export default {
  async fetch(_request, { CACHE }): Promise<Response> {
    await CACHE.put("k", "v", { expirationTtl: 60 });
    const value = await CACHE.get("k");
    if (typeof value !== "string") return new Response(null);
    const page = await CACHE.list({ prefix: "k" });
    const { name, expiration = 0 } = page.keys[0] ?? { name: "" };
    const found = await CACHE.getWithMetadata("k");
    if (found instanceof Map) return new Response(null);
    const { by } = (found.metadata ?? { by: "" }) as { by: string };
    for await (const line of await CACHE.changes()) return new Response(line);
    // KV's overloads and generics, which a service's type cannot have.
    const kv = CACHE as unknown as KVNamespace;
    const known = await kv.get<{ a: number }>("k", "json");
    return new Response(`${value.trim()} ${name.length} ${expiration.toFixed()} ${by} ${known?.a}`);
  },
} satisfies ExportedHandler<Env>;
