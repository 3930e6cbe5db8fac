/** The changelog is read by people who upgrade: what changed for them first, each in few words. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const GROUPS = ["Changed", "Added", "Fixed", "Faster"];
const LENGTH_MAX = 400;

function problemsOf(text: string): string[] {
  const [, unreleased = ""] = text.split("\n## Unreleased\n");
  const [head = "", ...groups] = unreleased.split(/^### /m);
  const kinds = groups.map((group) => GROUPS.indexOf(/^[A-Za-z]+/.exec(group)?.[0] ?? ""));
  const inOrder = [...kinds].sort((a, b) => a - b);
  const isOrdered = kinds.every((kind, i) => kind >= 0 && kind === inOrder[i]);
  const entries = groups.flatMap((group) =>
    group
      .split(/^- /m)
      .slice(1)
      .map((entry) => (entry.split(/\n\n/)[0] ?? "").replace(/\s+/g, " ").trim()),
  );
  const starts = entries.map((entry) => entry.slice(0, 40));
  return [
    ...(isOrdered ? [] : [`groups are ${GROUPS.join(", ")}, in this order`]),
    ...(/^- /m.test(head) ? ["an entry stands before the first group: put it into one"] : []),
    ...entries.filter(({ length }) => length > LENGTH_MAX).map((entry) => `too long: ${entry}`),
    ...entries.filter((_, i) => starts.indexOf(starts[i] ?? "") < i).map((e) => `twice: ${e}`),
  ];
}

describe("the changelog", () => {
  const text = readFileSync(new URL("../../CHANGELOG.md", import.meta.url), "utf8");

  it("has each entry once, in its group, and in few words", () => {
    expect(problemsOf(text)).toEqual([]);
  });

  it("is not believed by its word (the canary)", () => {
    const of = (body: string): string[] => problemsOf(`# Changelog\n\n## Unreleased\n\n${body}`);
    expect(of("- an entry\n\n### Changed\n\n- another\n")).toHaveLength(1);
    expect(of("### Added\n\n- one\n\n### Changed\n\n- two\n")).toHaveLength(1);
    expect(of("### Added\n\n- one\n- two\n\n### Fixed: all\n\n- one\n")).toHaveLength(1);
    expect(of(`### Added\n\n- ${"word ".repeat(100)}\n`)).toHaveLength(1);
    expect(of("### Added\n\n- one,\n  and more\n- two\n")).toEqual([]);
  });
});
