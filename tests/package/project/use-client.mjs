// The client library as an application uses it, on whatever runtime runs this: node, bun or deno.
import { StarlingClient } from "starling-cache/client";

const runtime = globalThis.Deno ? "deno" : globalThis.Bun ? "bun" : "node";
const url = globalThis.process?.env?.STARLING_URL;
const client = new StarlingClient({ url, namespace: `package-${runtime}` });
await client.put("greeting", "hello", { ttl: 60 });
const got = await client.get("greeting", { r: 1 });
if (!got.exists || (await got.text()) !== "hello") throw new Error(`${runtime}: the value is lost`);
// What stands in the stack of one that nobody caught.
const nowhere = new StarlingClient({ url: "http://127.0.0.1:1", namespace: "n", retries: 0 });
const unreached = await nowhere.get("k").catch((thrown) => thrown);
if (unreached.constructor.name !== "StarlingError") throw new Error(unreached.constructor.name);
await client.delete("greeting");
if ((await client.get("greeting")).exists) throw new Error(`${runtime}: the value is back`);
console.log(`${runtime}: ok`);
