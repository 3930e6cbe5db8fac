/** Scores of a run: a test whose dependency failed has failed, as the suite's own pages count. */
import type { SuiteRun, SuiteTest } from "./run.ts";

type Kind = "required" | "optimal" | "check";

interface Share {
  passed: number;
  of: number;
}

type Shares = Record<Kind, Share>;

export interface Score {
  readonly sections: readonly (readonly [name: string, shares: Shares])[];
  readonly totals: Shares;
  readonly failed: readonly { readonly id: string; readonly kind: Kind; readonly why: string }[];
}

const none = (): Shares => ({
  required: { passed: 0, of: 0 },
  optimal: { passed: 0, of: 0 },
  check: { passed: 0, of: 0 },
});

export function scoreOf({ sections, results }: SuiteRun): Score {
  const all = new Map<string, SuiteTest>(
    sections.flatMap(({ tests }) => tests.map((test) => [test.id, test] as const)),
  );
  const failedDependency = ({ depends_on = [] }: SuiteTest): string | undefined =>
    depends_on.find((id) => whyFailed(id) !== null);
  const whyFailed = (id: string): string | null => {
    const test = all.get(id);
    const result = results[id];
    const dependency = test === undefined ? undefined : failedDependency(test);
    if (dependency !== undefined) return `depends on ${dependency}`;
    if (result === true) return null;
    return result?.[1] ?? "not run";
  };
  const totals = none();
  const failed: { id: string; kind: Kind; why: string }[] = [];
  const scored = sections.map(({ name, tests }) => {
    const shares = none();
    for (const test of tests.filter((one) => one.browser_only !== true)) {
      const kind = test.kind ?? "required";
      const why = whyFailed(test.id);
      for (const share of [shares[kind], totals[kind]]) {
        share.of++;
        if (why === null) share.passed++;
      }
      if (why !== null) failed.push({ id: test.id, kind, why });
    }
    return [name, shares] as const;
  });
  return { sections: scored, totals, failed };
}

const cell = ({ passed, of }: Share): string => (of === 0 ? "" : `${passed} / ${of}`);

/** As a table of Markdown. */
export function tableOf({ sections, totals }: Score): string {
  const rows = [...sections, ["**all**", totals] as const].map(
    ([name, { required, optimal, check }]) =>
      `| ${name} | ${cell(required)} | ${cell(optimal)} | ${cell(check)} |`,
  );
  return ["| section | required | optimal | checks |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}
