import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import { withNamespace } from "../../ring/cluster-document.ts";
import { Bench } from "./bench.ts";

const rulesOf = ({ knowledge }: Bench, namespace: string, options: QuorumOptions = {}) => {
  const resolution = knowledge.resolve(storeKey(namespace, "k"), options);
  if (!resolution.ok) throw new Error(resolution.error.detail);
  const { n, r, w, dw } = resolution.rules;
  return { n, r, w, dw };
};

describe("what a request's options come to", () => {
  it("follows the namespace's settings as they change, named or not", () => {
    const bench = new Bench();
    const { knowledge } = bench;
    const usual = { n: 3, r: 2, w: 2, dw: 2 };
    for (const namespace of ["a", "b", "a"]) expect(rulesOf(bench, namespace)).toEqual(usual);
    const settings = { ...defaultSettings(3), r: "one", w: "all" } as const;
    knowledge.learn(withNamespace(knowledge.document, "a", settings));
    const changed = { n: 3, r: 1, w: 3, dw: 2 };
    for (const _ of [1, 2]) {
      expect(rulesOf(bench, "a")).toEqual(changed);
      expect(rulesOf(bench, "b")).toEqual(usual);
      expect(rulesOf(bench, "a", { r: 3 })).toEqual({ ...changed, r: 3 });
    }
    knowledge.learn(withNamespace(knowledge.document, "a", { ...settings, r: "all" }));
    expect(rulesOf(bench, "a")).toEqual({ ...changed, r: 3 });
    expect(rulesOf(bench, "b", { w: 1 })).toEqual({ ...usual, w: 1, dw: 1 });
  });

  it("does so for one and the same options object", () => {
    const bench = new Bench();
    const { knowledge } = bench;
    const options: QuorumOptions = { r: 3 };
    const usual = { n: 3, r: 3, w: 2, dw: 2 };
    const settings = { ...defaultSettings(3), w: "all" } as const;
    for (const _ of [1, 2]) expect(rulesOf(bench, "a", options)).toEqual(usual);
    knowledge.learn(withNamespace(knowledge.document, "a", settings));
    expect(rulesOf(bench, "a", options)).toEqual({ ...usual, w: 3 });
    expect(rulesOf(bench, "b", options)).toEqual(usual);
    const narrow = withNamespace(knowledge.document, "a", { ...settings, n: 1 });
    knowledge.learn(narrow);
    const resolution = knowledge.resolve(storeKey("a", "k"), options);
    expect(resolution).toMatchObject({ ok: false });
  });
});
