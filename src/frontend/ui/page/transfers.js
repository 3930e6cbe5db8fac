/** Data on its way to new owners, where the deployment can tell. */
import { ask } from "./api.js";
import { bytes, count, h, show } from "./dom.js";

/** @import { ClusterBody } from "../../admin/verdict.ts" */

/**
 * @typedef {object} TransferBody
 * @property {string} [id]
 * @property {string} [replica]
 * @property {string} [to]
 * @property {number} [partitions]
 * @property {number} [partitionsTotal]
 * @property {number} [partitionsDone]
 * @property {number} [bytes]
 * @property {number} [bytesMoved]
 */
/** @typedef {{ name: string, done: number, total: number, moved: number }} Transfer */

let isThere = true;

/**
 * Nothing has moved yet on a ring as it was founded: then nobody is asked.
 *
 * @param {ClusterBody} cluster
 */
const mayMove = ({ ringVersion, members }) =>
  ringVersion > 1 || members.some(({ state }) => state !== "up");

/** @param {Transfer} transfer */
export const isOver = ({ done, total }) => done >= total;

/**
 * Transfers that are known; none where the route is not there.
 *
 * @param {ClusterBody} cluster
 * @returns {Promise<readonly Transfer[]>}
 */
export async function readTransfers(cluster) {
  if (!isThere || !mayMove(cluster)) return [];
  const answer = await ask("/v1/cluster/transfers");
  isThere = answer.status !== 404;
  if (!answer.ok) return [];
  /** @type {{ transfers?: readonly TransferBody[] }} */
  const { transfers = [] } = await answer.json();
  return transfers.map(({ id, replica, to, ...of }) => ({
    name: to ?? replica ?? id ?? "a replica",
    done: of.partitionsDone ?? 0,
    total: of.partitions ?? of.partitionsTotal ?? 0,
    moved: of.bytes ?? of.bytesMoved ?? 0,
  }));
}

/** @param {Transfer} transfer */
function item({ name, done, total, moved }) {
  const words = `${count(done)} of ${count(total)} partitions, ${bytes(moved)}`;
  return h(
    "li",
    {},
    h("span", { class: "mono" }, `to ${name}`),
    h("progress", { max: Math.max(1, total), value: done, "aria-label": `to ${name}` }),
    h("span", { class: "number" }, words),
  );
}

/**
 * @param {Element} list
 * @param {readonly Transfer[]} transfers
 */
export function drawTransfers(list, transfers) {
  const nothing = h("li", { class: "muted" }, "Nothing is moving: every owner has its partitions.");
  show(list, transfers.length === 0 ? nothing : transfers.map(item));
}
