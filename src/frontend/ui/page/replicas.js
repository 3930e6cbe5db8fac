/** Where a key lives: its preference list, and what each replica itself holds. */
import { ago, bytes, h, plural } from "./dom.js";

/**
 * @typedef {object} EntryBody
 * @property {string} etag
 * @property {number} siblings
 * @property {boolean} tombstone
 * @property {string | null} expiresAt
 * @property {number} bytes
 * @property {string | null} hintFor
 */
/**
 * @typedef {object} ReplicaBody
 * @property {string} id
 * @property {string} role
 * @property {boolean} reachable
 * @property {EntryBody | null} entry
 */
/**
 * `GET /v1/cluster/explain/…`.
 *
 * @typedef {object} Explained
 * @property {number} partition
 * @property {number} n
 * @property {readonly ReplicaBody[]} replicas
 */
/** @typedef {{ tags: readonly string[], paintOf: ReadonlyMap<string, string> }} Parts */

/**
 * @param {ReplicaBody} replica
 * @param {readonly string[]} tags
 */
function holds({ reachable, entry }, tags) {
  if (!reachable) return h("span", { class: "state bad" }, "▲ no answer");
  if (entry === null) return h("span", { class: "muted" }, "nothing");
  const isAgreed = entry.etag === tags[0];
  const what = entry.siblings === 0 ? "a tombstone" : plural(entry.siblings, "value");
  const words = entry.siblings > 0 && entry.tombstone ? `${what} and a tombstone` : what;
  const kind = isAgreed ? "good" : "warn";
  return h("span", { class: `state ${kind}` }, `${isAgreed ? "●" : "◆"} ${words}`);
}

/**
 * The etags among primaries, the most frequent first.
 *
 * @param {readonly ReplicaBody[]} replicas
 */
function tagsOf(replicas) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { role, entry } of replicas) {
    if (role !== "primary" || entry === null) continue;
    counts.set(entry.etag, (counts.get(entry.etag) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([tag]) => tag);
}

/**
 * Whether the primaries agree, in words.
 *
 * @param {Explained} explained
 */
export function agreement({ replicas }) {
  const tags = tagsOf(replicas);
  const primaries = replicas.filter(({ role }) => role === "primary");
  const silent = primaries.filter(({ reachable }) => !reachable).map(({ id }) => id);
  const behind = primaries
    .filter(({ reachable, entry }) => reachable && entry?.etag !== tags[0])
    .map(({ id }) => id);
  if (tags.length === 0) return "No primary that answers holds anything of this key.";
  if (silent.length === 0 && behind.length === 0) {
    return `All ${primaries.length} primaries hold the same.`;
  }
  const parts = [];
  if (behind.length > 0) parts.push(`${behind.join(", ")} holds something else`);
  if (silent.length > 0) parts.push(`${silent.join(", ")} does not answer`);
  return `${parts.join("; ")}. Hints, the next read or an exchange bring them together.`;
}

/** @param {string} tag */
const shortTag = (tag) => tag.replaceAll('"', "").slice(0, 8);

/**
 * @param {ReplicaBody} replica
 * @param {number} place
 * @param {Parts} parts
 */
function replicaRow(replica, place, { tags, paintOf }) {
  const { id, role, entry } = replica;
  const expires = entry?.expiresAt ? `in ${ago(Date.parse(entry.expiresAt) - Date.now())}` : "–";
  const swatch = h("span", { class: `swatch ${paintOf.get(id) ?? ""}`, "aria-hidden": "true" });
  const roleWords = entry?.hintFor ? `${role}, hint for ${entry.hintFor}` : role;
  return h(
    "tr",
    { class: role },
    h("td", { "data-label": "Place" }, String(place + 1)),
    h("th", { scope: "row" }, swatch, id),
    h("td", { "data-label": "Role" }, roleWords),
    h("td", { "data-label": "Holds" }, holds(replica, tags)),
    h("td", { "data-label": "Versions", class: "mono" }, entry ? shortTag(entry.etag) : "–"),
    h("td", { "data-label": "Size", class: "number" }, entry ? bytes(entry.bytes) : "–"),
    h("td", { "data-label": "Expires", class: "number" }, expires),
  );
}

/**
 * @param {Explained} explained
 * @param {ReadonlyMap<string, string>} paintOf
 */
export function replicaTable({ partition, n, replicas }, paintOf) {
  const tags = tagsOf(replicas);
  const heads = ["Place", "Replica", "Role", "Holds", "Versions", "Size", "Expires"];
  const cells = heads.map((head) => {
    const isNumber = head === "Size" || head === "Expires";
    return h("th", { scope: "col", class: isNumber ? "number" : null }, head);
  });
  const words =
    `Partition ${partition}, N = ${n}: the first ${n} are its primaries, ` +
    "the others its fallbacks in turn.";
  const table = h(
    "table",
    { class: "cards", id: "replicas" },
    h("caption", { class: "visually-hidden" }, "The key's preference list"),
    h("thead", {}, h("tr", {}, cells)),
    h(
      "tbody",
      {},
      replicas.map((replica, place) => replicaRow(replica, place, { tags, paintOf })),
    ),
  );
  return [h("p", { class: "muted note" }, words), h("div", { class: "scroll short" }, table)];
}
