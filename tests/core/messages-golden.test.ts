/**
 * The bytes of each kind of message, as nodes have exchanged them so far: `tests/golden/messages`
 * was written by the code of before the table named what is inside of lists. Nodes of other
 * versions send and expect just these.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage } from "../../core/messages.ts";

type Golden = Readonly<Record<"requests" | "replies", Readonly<Record<string, string>>>>;
const golden = JSON.parse(
  readFileSync(new URL("../golden/messages/bytes.json", import.meta.url), "utf8"),
) as Golden;

describe("bytes on the wire", () => {
  const whole = ([name]: readonly [string, string]): boolean => !name.endsWith("as before");
  it.each([...Object.entries(golden.requests), ...Object.entries(golden.replies)].filter(whole))(
    "are read, and written again as they were: %s",
    (_, hex) => {
      const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
      expect(Buffer.from(encodeMessage(decodeMessage(bytes))).toString("hex")).toBe(hex);
    },
  );
});
