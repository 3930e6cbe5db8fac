/**
 * The text of a scenario, in the manner of raft's testdata:
 *
 *     # What it is about.
 *
 *     put a:one at=r1 w=2
 *     ----
 *     what followed, line by line
 *
 * Commands stand in paragraphs; below the line is what they led to.
 */
import type { Command } from "./stage.ts";

export interface Paragraph {
  /** Lines that begin with `#`, and the command; a paragraph without one is a comment. */
  readonly comments: readonly string[];
  readonly command: string | null;
  readonly followed: readonly string[];
}

const LINE = "----";

export function parseScenario(text: string): readonly Paragraph[] {
  return text
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => {
      const lines = paragraph.split("\n");
      const comments = lines.filter((line) => line.startsWith("#"));
      const [command = null, line, ...followed] = lines.slice(comments.length);
      if (command !== null && line !== LINE && line !== undefined) {
        throw new Error(`below a command stands ${LINE}: ${command}`);
      }
      return { comments, command, followed };
    });
}

export function writeScenario(paragraphs: readonly Paragraph[]): string {
  const texts = paragraphs.map(({ comments, command, followed }) =>
    [...comments, ...(command === null ? [] : [command, LINE, ...followed])].join("\n"),
  );
  return `${texts.join("\n\n")}\n`;
}

/** `put a:one at=r1`: a verb, words, and options with `=`. */
export function parseCommand(text: string): Command {
  const [verb = "", ...rest] = text.trim().split(/\s+/);
  const words = rest.filter((word) => !word.includes("="));
  const options = rest.filter((word) => word.includes("="));
  const pairs = options.map((word) => {
    const [name = "", value = ""] = word.split("=", 2);
    return [name, value] as const;
  });
  return { verb, words, options: new Map(pairs) };
}
