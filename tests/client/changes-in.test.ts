import { describe, expect, it } from "vitest";
import { changesIn, type FeedChange } from "../../src/client/changes.ts";

const encoder = new TextEncoder();

function streamOf(chunks: readonly string[]): {
  readonly stream: ReadableStream<Uint8Array>;
  wasCancelled(): boolean;
} {
  let cancelled = false;
  let i = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[i++];
        if (chunk === undefined) controller.close();
        else controller.enqueue(encoder.encode(chunk));
      },
      cancel() {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, wasCancelled: () => cancelled };
}

const put = (key: string): string =>
  JSON.stringify({
    key,
    type: "put",
    lastModified: "Sat, 28 Nov 2026 19:37:39 GMT",
    value: "dg==",
  });
const token = (text: string): string => JSON.stringify({ token: text });

describe("changesIn", () => {
  it("gives each change the token from which nothing after it is missed", async () => {
    const text = [token("t0"), put("a"), put("ü"), token("t1"), token("t1"), put("c"), ""];
    const whole = encoder.encode(text.join("\n"));
    // In pieces of five bytes, which cut lines and letters.
    const pieces = Array.from({ length: Math.ceil(whole.length / 5) }, (_, i) =>
      whole.slice(5 * i, 5 * i + 5),
    );
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.enqueue(encoder.encode(`${token("t2")}\n`));
        controller.close();
      },
    });
    const seen: FeedChange[] = [];
    for await (const change of changesIn(stream)) seen.push(change);
    expect(seen.map(({ key, token: at }) => [key, at])).toEqual([
      ["a", "t0"],
      ["ü", "t1"],
      ["c", "t2"],
    ]);
    expect(seen[0]).toMatchObject({
      lastModified: new Date("2026-11-28T19:37:39Z"),
      value: encoder.encode("v"),
    });
  });

  it("cancels the stream when its reader leaves", async () => {
    const { stream, wasCancelled } = streamOf([`${put("a")}\n${put("b")}\n`, `${put("c")}\n`]);
    for await (const change of changesIn(stream, "here")) {
      expect(change).toMatchObject({ key: "a", token: "here" });
      break;
    }
    expect(wasCancelled()).toBe(true);
  });
});
