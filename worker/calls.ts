/** Calls to other replicas: one RPC to a Durable Object a request, its reply the return value. */
import { type Message, messageFromList, type RequestMessage } from "../core/messages.ts";
import type { Traffic } from "../core/traffic.ts";
import type { Driver } from "../src/driver/driver.ts";
import type { Knowledge } from "../src/node/knowledge/knowledge.ts";
import type { Env, ReplicaRpc } from "./config.ts";
import { messageToWire } from "./wire.ts";
import { locationHintOf } from "./zones.ts";

/**
 * Sends a request and feeds what comes of it to the driver; resolves when that is done.
 *
 * A call that failed is no reply, whatever the reason. The runtime itself has already tried again
 * where the object was never reached. Nothing here asks a second time: an error with `.overloaded`
 * must not be retried, and any other may have done its work. The suspicion that follows sends the
 * next requests elsewhere, and one of them back as a probe after a pause.
 */
export async function callReplica(
  at: {
    readonly env: Env;
    readonly knowledge: Knowledge;
    readonly driver: Driver;
    /** Of a frontend: what it answered goes along, to whichever replica it asks anyway. */
    readonly traffic?: Traffic;
  },
  to: string,
  message: RequestMessage,
): Promise<void> {
  let reply: Message;
  const answered = at.traffic?.takeUnsaid(at.knowledge.counters.readRepairs) ?? null;
  try {
    const wire = messageToWire(message);
    reply = messageFromList(await stubOf(at, to).exchange(to, wire, answered));
  } catch (error) {
    if (answered !== null) at.traffic?.giveBack(answered);
    // What an object throws is a fault to be looked at; what the platform throws is weather.
    if (isRemote(error)) console.error(`replica ${to} failed: ${JSON.stringify(error.message)}`);
    return at.driver.unreachable(to, message.call);
  }
  at.driver.receive(to, reply);
}

export function stubOf(
  { env, knowledge }: { readonly env: Env; readonly knowledge: Knowledge },
  replicaId: string,
): DurableObjectStub<ReplicaRpc> {
  const { REPLICAS } = env;
  const hint = locationHintOf(knowledge.ring.zoneOf(replicaId));
  // The hint counts only for the very first call: an object stays where it was made.
  const options = hint === undefined ? {} : { locationHint: hint };
  return REPLICAS.get(idOf(REPLICAS, replicaId), options);
}

/** An object's id is a keyed hash of its name: it is worth remembering. */
const ids = new WeakMap<Env["REPLICAS"], Map<string, DurableObjectId>>();

function idOf(namespace: Env["REPLICAS"], name: string): DurableObjectId {
  const known = ids.get(namespace) ?? new Map<string, DurableObjectId>();
  ids.set(namespace, known);
  const id = known.get(name) ?? namespace.idFromName(name);
  known.set(name, id);
  return id;
}

const isRemote = (error: unknown): error is Error =>
  error instanceof Error && "remote" in error && error.remote === true;
