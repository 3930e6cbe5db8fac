// Counts visits in a real KV namespace.
export default {
  async fetch(request, { KV }) {
    const key = new URL(request.url).pathname.slice(1);
    if (key === "") return Response.json(await KV.list());
    const { value, metadata } = await KV.getWithMetadata(key, "json");
    const visits = (value ?? 0) + 1;
    const options = { expirationTtl: 3600, metadata: { since: metadata?.since ?? Date.now() } };
    await KV.put(key, JSON.stringify(visits), options);
    return Response.json({ key, visits });
  },
};
