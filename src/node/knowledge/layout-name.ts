/** Names who owns which keys: marks hold while it is the same. */
import { oncePer } from "../../../core/once-per.ts";
import type { ClusterDocument } from "../../../ring/cluster-document.ts";

/**
 * The same for equal owners of all keys. Acknowledgements of a change, settings other than N, and
 * purges change nothing of it.
 */
export const layoutName = oncePer(({ ring, namespaces }: ClusterDocument): string => {
  const { version, isProvisional = false, change } = ring;
  const step =
    change === undefined ? "" : [change.ballot, change.phase, change.to === null, change.forced];
  const sizes: unknown[] = [];
  for (const [name, { settings, change: resizing }] of namespaces) {
    const n = settings?.n ?? ring.n;
    if (n !== ring.n || resizing !== undefined) {
      sizes.push([name, n, resizing?.from ?? n, resizing?.phase ?? ""]);
    }
  }
  return JSON.stringify([version, isProvisional, step, sizes]);
});
