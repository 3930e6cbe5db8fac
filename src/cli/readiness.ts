/** When nodes that were started together may be called ready. */
import { type Fetch, pause } from "../client/transport.ts";

export interface StartedNode {
  readonly id: string;
  readonly url: string;
}

export interface Patience {
  /** How long the nodes may take, all together, in ms. */
  readonly patienceMs: number;
  readonly fetch: Fetch;
}

/** Between two questions to a node, in ms. */
const AGAIN_MS = 25;
/** A node that does not answer so long is asked once more, in ms. */
const ANSWER_MS_MAX = 2000;

/** Why the node is not ready, in words; null when it is. */
async function lackOf({ url }: StartedNode, fetch: Fetch): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const answer = await fetch(`${url}/readyz?owns`, { method: "GET", signal });
    if (answer.ok) {
      await answer.body?.cancel();
      return null;
    }
    const { detail } = (await answer.json()) as { readonly detail?: string };
    return detail ?? `it answers ${answer.status}`;
  } catch (error) {
    return error instanceof Error ? error.message : "it does not answer";
  }
}

/**
 * Waits until every node serves reads and writes and has what it owns (`/readyz?owns`).
 *
 * @returns one line for each node that is not ready when the patience ends, with the reason
 */
export async function untilReady(
  nodes: readonly StartedNode[],
  { patienceMs, fetch }: Patience,
): Promise<readonly string[]> {
  const until = performance.now() + patienceMs;
  const wait = async (node: StartedNode): Promise<readonly string[]> => {
    for (;;) {
      const lack = await lackOf(node, fetch);
      if (lack === null) return [];
      if (performance.now() >= until) return [`${node.id} is not ready yet: ${lack}`];
      await pause(AGAIN_MS, undefined);
    }
  };
  return (await Promise.all(nodes.map(wait))).flat();
}
