/** Bodies of messages as Node reads them, with a bound to each wait and none to the whole. */
import type { IncomingMessage } from "node:http";
import type { Bytes } from "../../door/ports.ts";

/** Rejects when the promise takes longer. @param late makes the error when it happens */
async function within<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(late()), ms);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The body as it comes. A wait for its next bytes is bounded, the wait for whoever takes them is
 * not. A reader that stops early leaves the message as it is then: neither ended nor read to its
 * end.
 *
 * @param idleMs how long the next bytes may take
 */
export async function* bytesOf(
  incoming: IncomingMessage,
  idleMs: number,
  late: () => Error,
): Bytes {
  const chunks = incoming[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  for (;;) {
    const next = await within(chunks.next(), idleMs, late);
    if (next.done === true) return;
    yield next.value;
  }
}
