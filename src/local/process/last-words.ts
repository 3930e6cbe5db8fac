/** How a connection ends that gets one more answer, and on which nobody reads any more. */
import type { Duplex } from "node:stream";

/** How long the other side may take to close, in ms: enough to read an answer that is short. */
const LINGER_MS = 5000;

/**
 * Sends a last answer and closes the connection. What the other side still sends is read and
 * forgotten until it closes too (RFC 9112, 9.6): unread bytes would have the answer reset on its
 * way, and nobody would ever learn that the other side is gone. One that stays is cut off.
 *
 * @param text as it goes out on the connection
 * @param lingerMs how long the other side may take to close, in ms
 */
export function sayLast(socket: Duplex, text: string, lingerMs = LINGER_MS): void {
  socket.on("error", () => socket.destroy());
  if (!socket.writable) return void socket.destroy();
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once("close", () => clearTimeout(timer));
  socket.end(text);
  socket.resume();
}
