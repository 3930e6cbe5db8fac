/** A shared cache in front of a frontend: undici's, which keeps to RFC 9111. */
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { Agent, interceptors, request } from "undici";

export interface CachingProxy {
  readonly url: string;
  /** Requests that the frontend has seen. */
  askedCount(): number;
  close(): Promise<void>;
}

const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "host", "content-length"];

const endToEnd = (headers: IncomingHttpHeaders): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || HOP_BY_HOP.includes(name) ? [] : [[name, value]],
    ),
  );

export async function startCachingProxy(frontend: string): Promise<CachingProxy> {
  let askedCount = 0;
  const agent = new Agent();
  // What is below the cache sees what the cache does not answer.
  const dispatcher = agent
    .compose((dispatch) => (options, handler) => {
      askedCount++;
      return dispatch(options, handler);
    })
    .compose(interceptors.cache({ type: "shared" }));
  const server = createServer(async (incoming, response) => {
    const { method = "GET", url = "/" } = incoming;
    const hasBody = method === "PUT" || method === "POST";
    const answer = await request(frontend + url, {
      dispatcher,
      method: method as "GET",
      headers: endToEnd(incoming.headers),
      body: hasBody ? incoming : null,
    });
    const body = Buffer.from(await answer.body.arrayBuffer());
    response.writeHead(answer.statusCode, endToEnd(answer.headers)).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    askedCount: () => askedCount,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await agent.close();
    },
  };
}
