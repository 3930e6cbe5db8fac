/** A driven node as the HTTP face needs it. */
import type { StoreKey } from "../../core/store.ts";
import type { Backend, ClusterView } from "../frontend/backend/backend.ts";
import { apart } from "../frontend/backend/site-view.ts";
import type { Node } from "../node/node.ts";
import type { Driver } from "./driver.ts";

/** A view of the present, made for every request: what few ask for is computed on demand. */
class NodeView implements ClusterView {
  readonly ring: ClusterView["ring"];
  readonly namespaces: ClusterView["namespaces"];
  readonly sites: ClusterView["sites"];
  readonly purges: ClusterView["purges"];
  readonly changes: ClusterView["changes"];
  readonly isReachable: ClusterView["isReachable"];
  readonly #node: Node;

  constructor(node: Node) {
    const { ring, namespaces, purges, changes, liveness } = node.knowledge;
    const parts = apart(namespaces);
    this.#node = node;
    this.ring = ring;
    this.namespaces = parts.namespaces;
    this.sites = parts.sites;
    this.purges = purges;
    this.changes = changes;
    this.isReachable = (id) => !liveness.isSuspect(id);
  }

  get defaults(): ClusterView["defaults"] {
    return this.#node.knowledge.defaults;
  }

  get version(): string {
    return this.#node.knowledge.about.version;
  }

  get refusedVersions(): ClusterView["refusedVersions"] {
    const refused = [...this.#node.knowledge.refusedVersions];
    return new Map(refused.map(([id, { version }]) => [id, version]));
  }

  get lacks(): string | null {
    return this.#node.service?.jobs.absence?.reason ?? null;
  }
}

/** @param of what the host says beside the node, of itself and of its cache door */
export function backendOf(
  driver: Driver,
  of: Pick<Backend, "metrics" | "refreshes" | "turns">,
): Backend {
  const { node } = driver;
  const { service } = node;
  const view = (): ClusterView => new NodeView(node);
  return {
    now: () => driver.wall,
    view,
    traffic: node.knowledge.traffic,
    freshView: async () => {
      // A replica is told of every change.
      if (service === null) await driver.execute({ kind: "refresh" }, "");
      return view();
    },
    isEnding: () => driver.isEnding,
    onEnding: (callback) => driver.onEnding(callback),
    execute: (operation, trace) => driver.execute(operation, trace),
    fetchValues: (operation, trace) => driver.execute(operation, trace),
    ...(service === null
      ? {}
      : { weigh: (key: StoreKey) => service.keeper.store.byteCountOf(key) }),
    ...of,
  };
}
