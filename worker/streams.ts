/** Bodies between the door, which iterates, and the platform, which streams. */
import type { Bytes } from "../src/door/ports.ts";

/** @param sent told how many bytes have been taken */
export function streamOf(bytes: Bytes, sent: (byteCount: number) => void = () => {}) {
  const iterator = bytes[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) return controller.close();
      sent(value.length);
      controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

/** The stream with a length that is announced; it breaks where what comes is not as long. */
export function ofLength(
  stream: ReadableStream<Uint8Array>,
  length: number,
  ctx: Pick<ExecutionContext, "waitUntil">,
): ReadableStream {
  const { readable, writable } = new FixedLengthStream(length);
  // Its readers are told of a failure; nobody else is to be.
  ctx.waitUntil(stream.pipeTo(writable).catch(() => undefined));
  return readable;
}
