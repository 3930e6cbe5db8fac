/**
 * An origin for the cache door: `node origin.ts PORT`. `/object/…` is 1 KiB that is fresh for an
 * hour, `/big/BYTES/…` a long one, in chunks of 64 KiB as fast as they are taken.
 */
import { createServer, type ServerResponse } from "node:http";

const object = Buffer.alloc(1024, "o");
const chunk = Buffer.alloc(65_536, "b");

function sendBig(response: ServerResponse, byteCount: number): void {
  let left = byteCount;
  response.setHeader("Content-Length", byteCount);
  const send = (): void => {
    while (left > 0 && !response.destroyed) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      if (!response.write(part)) return void response.once("drain", send);
    }
    response.end();
  };
  send();
}

const server = createServer(({ url = "" }, response) => {
  response.setHeader("Cache-Control", "max-age=3600");
  const big = /^\/big\/(\d+)/.exec(url);
  if (big !== null) return sendBig(response, Number(big[1]));
  response.setHeader("Content-Length", object.length);
  response.end(object);
});
// Whoever keeps a connection decides how long.
server.keepAliveTimeout = 600_000;
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));
