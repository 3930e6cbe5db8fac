// A Worker whose Env is what wrangler makes of both configurations: the binding's own type.
export default {
  async fetch(_request, { CACHE }): Promise<Response> {
    await CACHE.put("k", "v", { expirationTtl: 60 });
    const value: string | null = await CACHE.get("k");
    return new Response(value);
  },
} satisfies ExportedHandler<Env>;
