/**
 * The baseline: hono on @hono/node-server, answering from a Map. `node bare-node.ts PORT`.
 *
 * Values are kept as a Uint8Array: an ArrayBuffer would go out through a web stream, at twice the
 * cost, and so flatter whatever is measured by it.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const values = new Map<string, Uint8Array<ArrayBuffer>>();
const app = new Hono();

app.get("/v1/kv/bench/:key", (c) => {
  const value = values.get(c.req.param("key"));
  return value === undefined ? c.notFound() : c.body(value);
});

app.put("/v1/kv/bench/:key", async (c) => {
  values.set(c.req.param("key"), new Uint8Array(await c.req.arrayBuffer()));
  return c.body(null, 204);
});

const port = Number(process.argv[2]);
serve({ fetch: app.fetch, port, hostname: "127.0.0.1" }, () => console.log("listening"));
