/** A driven node as the HTTP face needs it. */
import type { Driver } from "./driver.ts";
import type { Backend } from "./frontend/backend.ts";

export function backendOf(driver: Driver, metrics: Backend["metrics"]): Backend {
  const { knowledge } = driver.node;
  return {
    now: () => Date.now(),
    view: () => ({
      ring: knowledge.ring,
      defaults: knowledge.defaults,
      namespaces: knowledge.namespaces,
      isReachable: (id) => !knowledge.liveness.isSuspect(id),
    }),
    execute: (operation, trace) => driver.execute(operation, trace),
    metrics,
  };
}
