/** `/ui/transfers.js`: data on its way to new owners, where the deployment can tell. */
export const transfersScript = `
import { ask } from "./api.js";
import { bytes, count, h, show } from "./dom.js";

let isThere = true;

/** Nothing has moved yet on a ring as it was founded: then nobody is asked. */
const mayMove = ({ ringVersion, members }) =>
  ringVersion > 1 || members.some(({ state }) => state !== "up");

/** Transfers that are known, with isOver; none where the route is not there. */
export async function readTransfers(cluster) {
  if (!isThere || !mayMove(cluster)) return [];
  const answer = await ask("/v1/cluster/transfers");
  isThere = answer.status !== 404;
  if (!answer.ok) return [];
  const { transfers = [] } = await answer.json();
  return transfers.map((transfer) => {
    const done = transfer.partitionsDone ?? 0;
    const total = transfer.partitions ?? transfer.partitionsTotal ?? 0;
    return { ...transfer, done, total, isOver: done >= total };
  });
}

function item(transfer) {
  const { id, replica, to, done, total, bytes: moved, bytesMoved } = transfer;
  const name = to ?? replica ?? id ?? "a replica";
  const words = count(done) + " of " + count(total) + " partitions, " +
    bytes(moved ?? bytesMoved ?? 0);
  return h("li", {},
    h("span", { class: "mono" }, "to " + name),
    h("progress", { max: Math.max(1, total), value: done, "aria-label": "to " + name }),
    h("span", { class: "number" }, words));
}

export function drawTransfers(list, transfers) {
  const nothing = h("li", { class: "muted" }, "Nothing is moving: every owner has its partitions.");
  show(list, transfers.length === 0 ? nothing : transfers.map(item));
}
`;
