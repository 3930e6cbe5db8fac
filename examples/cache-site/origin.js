// A blog that takes a second to make a page: something worth a cache in front of it.
import { createServer } from "node:http";

const port = Number(process.argv[2] ?? 8000);
let madeCount = 0;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

createServer(async (request, response) => {
  if (request.url === "/") {
    await wait(1000);
    madeCount++;
    // Fresh for 5 seconds, shown for a minute more while it is made anew, for a day if we are down.
    response.setHeader(
      "Cache-Control",
      "max-age=5, stale-while-revalidate=60, stale-if-error=86400",
    );
    response.setHeader("Cache-Tag", "front, posts");
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(`<h1>The blog, made ${madeCount} times</h1>\n`);
  } else {
    response.writeHead(404, { "Cache-Control": "max-age=60" }).end("There is no such page.\n");
  }
}).listen(port, "127.0.0.1", () => console.log(`the blog listens on http://127.0.0.1:${port}`));
