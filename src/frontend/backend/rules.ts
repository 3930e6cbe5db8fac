/** The rules of a request's options, as far as a frontend can tell before it asks its node. */
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import { oncePer } from "../../../core/once-per.ts";
import {
  type QuorumOptions,
  QuorumResolver,
  type QuorumRules,
  type Resolution,
} from "../../../core/quorum-options.ts";
import { problemOf } from "../http/problems.ts";
import type { ClusterView } from "./backend.ts";

/** Stands in for the deployment's timeout, which the node knows: only ranges are checked here. */
const ANY_TIMEOUT_MS = 1;

const resolverOf = oncePer(
  ({ n, r, w, dw }: NamespaceSettings) =>
    new QuorumResolver({ n, r, w, dw, timeoutMs: ANY_TIMEOUT_MS }),
);

/** The rules, or the first option that is out of its range. */
export const resolutionOf = (
  { ring }: Pick<ClusterView, "ring">,
  settings: NamespaceSettings,
  options: QuorumOptions,
): Resolution => resolverOf(settings).resolve(options, ring.zones.length);

/**
 * Bad ranges are refused before a body is read. The node checks again, by its newest document.
 *
 * @returns the rules; their timeout means something only where the options name one
 * @throws Problem `invalid-option`
 */
export function rulesOf(
  view: Pick<ClusterView, "ring">,
  settings: NamespaceSettings,
  options: QuorumOptions,
): QuorumRules {
  const resolution = resolutionOf(view, settings, options);
  if (resolution.ok) return resolution.rules;
  throw problemOf({ code: "invalid-option", ...resolution.error }, false);
}
