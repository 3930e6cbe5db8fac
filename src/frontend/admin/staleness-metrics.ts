/** The model's own metric: how likely a read sees a write, for each r and w, soon and later. */

import { quorumNumber } from "../../../core/quorum-options.ts";
import { type Labels, render, type Sample } from "../../metrics/exposition.ts";
import { watchOf } from "../backend/auto-choice.ts";
import type { Backend } from "../backend/backend.ts";

/** After which times, in ms. */
const TIMES = [0, 10, 100];

/**
 * For the deployment's own n and dw; no series while nothing was measured. A frontend without a
 * replica tells only what it learnt for reads with `consistency=auto` and for looks at the
 * forecast. It asks nobody for a scraper, which would wake replicas that sleep.
 */
export async function stalenessMetrics(backend: Backend): Promise<string> {
  const view = backend.view();
  const { n, dw } = view.defaults;
  const watch = watchOf(backend);
  if (backend.weigh !== undefined) await watch.refresh(backend, true);
  const chances = watch.chances(view, { n, dw: quorumNumber(dw, n) });
  const counts = Array.from({ length: n }, (_, i) => i + 1);
  const values = counts.flatMap((r) =>
    counts.flatMap((w) =>
      TIMES.map((t): Sample => {
        const labels: Labels = { r: String(r), w: String(w), t: String(t) };
        return [labels, chances?.(r, w, t) ?? 0];
      }),
    ),
  );
  return render([
    {
      name: "starling_staleness_probability",
      type: "gauge",
      help: "Predicted chance that a read with r sees a write with w, answered t ms before.",
      values: chances === null ? [] : values,
    },
  ]);
}
