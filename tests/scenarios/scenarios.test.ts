/**
 * Scenarios to learn the protocol from: what somebody does, and what nodes say to each other then.
 * `UPDATE=1` writes down what followed; read the difference before it is kept. See README.md here.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseCommand, parseScenario, writeScenario } from "./scenario.ts";
import { Stage } from "./stage.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const names = readdirSync(HERE, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".txt"))
  .sort();

function play(text: string): string {
  const stage = new Stage();
  return writeScenario(
    parseScenario(text).map((paragraph) => {
      const { command } = paragraph;
      return command === null
        ? paragraph
        : { ...paragraph, followed: stage.run(parseCommand(command)) };
    }),
  );
}

describe("a scenario", () => {
  it("has company", () => {
    expect(names.length).toBeGreaterThanOrEqual(20);
  });

  it.each(names)("goes as it is written: %s", (name) => {
    const text = readFileSync(`${HERE}${name}`, "utf8");
    const played = play(text);
    if (process.env["UPDATE"] === "1") writeFileSync(`${HERE}${name}`, played);
    else expect(played).toBe(text);
  });

  it("is held to every line", () => {
    const text = "cluster 1\n----\nr1, n=1\n\nput a:one at=r1\n----\nsomething else\n";
    expect(play(text)).not.toBe(text);
    expect(play("cluster 1")).toBe("cluster 1\n----\nr1, n=1\n");
  });
});
