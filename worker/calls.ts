/** Calls to other replicas: one RPC to a Durable Object a request, its reply the return value. */
import { decodeMessage, encodeMessage, type RequestMessage } from "../core/messages.ts";
import type { Driver } from "../src/driver.ts";
import type { Knowledge } from "../src/node/knowledge.ts";
import { type Env, locationHintOf } from "./config.ts";

/**
 * Sends a request and feeds what comes of it to the driver. An RPC that fails is no reply, whatever
 * the reason; an overloaded object in particular must not be asked again at once, and the suspicion
 * that follows sees to that.
 */
export async function callReplica(
  at: { readonly env: Env; readonly knowledge: Knowledge; readonly driver: Driver },
  to: string,
  message: RequestMessage,
): Promise<void> {
  const { REPLICAS } = at.env;
  const hint = locationHintOf(at.knowledge.ring.zoneOf(to));
  const options = hint === undefined ? {} : { locationHint: hint };
  const stub = REPLICAS.get(REPLICAS.idFromName(to), options);
  let bytes: Uint8Array;
  try {
    bytes = await stub.exchange(to, encodeMessage(message));
  } catch {
    at.driver.unreachable(to, message.call);
    return;
  }
  at.driver.receive(to, decodeMessage(bytes));
}
