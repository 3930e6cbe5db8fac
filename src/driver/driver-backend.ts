/** A driven node as the HTTP face needs it. */
import type { StoreKey } from "../../core/store.ts";
import type { Backend, ClusterView } from "../frontend/backend/backend.ts";
import { apart } from "../frontend/backend/site-view.ts";
import type { Driver } from "./driver.ts";

/** @param of what the host says beside the node, of itself and of its cache door */
export function backendOf(driver: Driver, of: Pick<Backend, "metrics" | "refreshes">): Backend {
  const { knowledge, service } = driver.node;
  const view = (): ClusterView => ({
    ring: knowledge.ring,
    defaults: knowledge.defaults,
    ...apart(knowledge.namespaces),
    purges: knowledge.purges,
    changes: knowledge.changes,
    version: knowledge.about.version,
    refusedVersions: new Map([...knowledge.refusedVersions].map(([id, of]) => [id, of.version])),
    isReachable: (id) => !knowledge.liveness.isSuspect(id),
    lacks: service?.background?.absence?.reason ?? null,
  });
  return {
    now: () => driver.wall,
    view,
    freshView: async () => {
      // A replica is told of every change.
      if (service === null) await driver.execute({ kind: "refresh" }, "");
      return view();
    },
    isEnding: () => driver.isEnding,
    execute: (operation, trace) => driver.execute(operation, trace),
    ...(service === null
      ? {}
      : { weigh: (key: StoreKey) => service.keeper.store.summary(key)?.byteCount ?? 0 }),
    ...of,
  };
}
