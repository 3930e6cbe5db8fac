/**
 * `/ui/lookup.js`: one key. Its preference list, what each replica itself holds, and its value; or
 * its siblings side by side, with a button that keeps one of them: a write with the context of all.
 */
export const lookupScript = String.raw`
import { ask, failureOf, json } from "./api.js";
import { ago, bytes, byId, h, plural, say, show } from "./dom.js";

const PREVIEW_BYTES = 2048;
const pathOf = ({ namespace, key }) =>
  encodeURIComponent(namespace) + "/" + encodeURIComponent(key);

/** The value's beginning as a text, or as hexadecimal when it is none. */
function preview(value) {
  const head = value.subarray(0, PREVIEW_BYTES);
  const left = value.length - head.length;
  const more = left > 0 ? "\n… " + bytes(left) + " more" : "";
  try {
    // A character may be cut in two at the end: a stream waits for its other half.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
    if (!/[\u0000-\u0008\u000e-\u001f]/.test(text)) return text + more;
  } catch {
    // Not a text.
  }
  const pairs = Array.from(head.subarray(0, 256), (byte) => byte.toString(16).padStart(2, "0"));
  return pairs.join(" ") + (value.length > 256 ? "\n… " + bytes(value.length) + " in all" : "");
}

/** Of a stored value: what is written back with it. */
const STORED = ["Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition",
  "Starling-Metadata"];

function siblingOf(headers, value) {
  const there = STORED.filter((name) => headers.has(name));
  const stored = there.map((name) => [name, headers.get(name)]);
  return {
    value,
    stored: Object.fromEntries(stored),
    lastModified: headers.get("Last-Modified"),
    expires: headers.get("Expires"),
  };
}

/** The parts of multipart/mixed. Each says its length, so a value may hold whatever it likes. */
function* partsOf(body) {
  // One char a byte, to find lines by; the browsers' latin1 is another set from 0x80 to 0x9f.
  const latin = new TextDecoder("latin1").decode(body);
  for (let at = latin.indexOf("\r\n") + 2; at > 1;) {
    const end = latin.indexOf("\r\n\r\n", at);
    if (end < 0) return;
    const lines = String.fromCharCode(...body.subarray(at, end)).split("\r\n");
    const headers = new Headers(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
    const from = end + 4;
    const to = from + Number(headers.get("Content-Length"));
    yield siblingOf(headers, body.slice(from, to));
    at = latin.indexOf("\r\n", to + 2) + 2;
  }
}

async function readValue(key) {
  const init = { headers: { Accept: "multipart/mixed" } };
  const answer = await ask("/v1/kv/" + pathOf(key) + "?siblings=all", init);
  const context = answer.headers.get("Starling-Context");
  if (answer.status === 404) return { context, siblings: [] };
  if (!answer.ok && answer.status !== 300) throw await failureOf(answer);
  const body = new Uint8Array(await answer.arrayBuffer());
  if (answer.status === 300) return { context, siblings: [...partsOf(body)] };
  return { context, siblings: [siblingOf(answer.headers, body)] };
}

/** Writes the sibling that is to stay over all that were shown. */
async function keep(key, context, { stored, value, expires }) {
  const headers = { ...stored, "Starling-Context": context };
  const leftMs = expires === null ? 0 : Date.parse(expires) - Date.now();
  const ttl = expires === null ? "" : "?ttl=" + Math.max(0.001, leftMs / 1000).toFixed(3);
  const init = { method: "PUT", headers, body: value };
  const answer = await ask("/v1/kv/" + pathOf(key) + ttl, init);
  if (!answer.ok) throw await failureOf(answer);
}

function holds({ reachable, entry }, tags) {
  if (!reachable) return h("span", { class: "state bad" }, "▲ no answer");
  if (entry === null) return h("span", { class: "muted" }, "nothing");
  const isAgreed = entry.etag === tags[0];
  const what = entry.siblings === 0 ? "a tombstone" : plural(entry.siblings, "value");
  const words = entry.siblings > 0 && entry.tombstone ? what + " and a tombstone" : what;
  return h("span", { class: "state " + (isAgreed ? "good" : "warn") },
    (isAgreed ? "● " : "◆ ") + words);
}

/** The etags among primaries, the most frequent first. */
function tagsOf(replicas) {
  const counts = new Map();
  for (const { role, entry } of replicas) {
    if (role !== "primary" || entry === null) continue;
    counts.set(entry.etag, (counts.get(entry.etag) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([tag]) => tag);
}

function agreement({ replicas }, tags) {
  const primaries = replicas.filter(({ role }) => role === "primary");
  const silent = primaries.filter(({ reachable }) => !reachable).map(({ id }) => id);
  const behind = primaries.filter(({ reachable, entry }) =>
    reachable && tags.length > 0 && entry?.etag !== tags[0]).map(({ id }) => id);
  if (tags.length === 0) return "No primary that answers holds anything of this key.";
  if (silent.length === 0 && behind.length === 0) {
    return "All " + primaries.length + " primaries hold the same.";
  }
  const parts = [];
  if (behind.length > 0) parts.push(behind.join(", ") + " holds something else");
  if (silent.length > 0) parts.push(silent.join(", ") + " does not answer");
  return parts.join("; ") + ". Hints, the next read or an exchange bring them together.";
}

const shortTag = (tag) => tag.replaceAll('"', "").slice(0, 8);

function replicaRow(replica, i, parts) {
  const { tags, paintOf, now } = parts;
  const { id, role, entry } = replica;
  const expires = entry?.expiresAt ? "in " + ago(Date.parse(entry.expiresAt) - now) : "–";
  return h("tr", { class: role },
    h("td", { "data-label": "Place" }, String(i + 1)),
    h("th", { scope: "row" },
      h("span", { class: "swatch " + (paintOf.get(id) ?? ""), "aria-hidden": "true" }), id),
    h("td", { "data-label": "Role" },
      entry?.hintFor ? role + ", hint for " + entry.hintFor : role),
    h("td", { "data-label": "Holds" }, holds(replica, tags)),
    h("td", { "data-label": "Versions", class: "mono" }, entry ? shortTag(entry.etag) : "–"),
    h("td", { "data-label": "Size", class: "number" }, entry ? bytes(entry.bytes) : "–"),
    h("td", { "data-label": "Expires", class: "number" }, expires));
}

function replicaTable(explained, parts) {
  const heads = ["Place", "Replica", "Role", "Holds", "Versions", "Size", "Expires"];
  const isNumber = (head) => head === "Size" || head === "Expires";
  return h("div", { class: "scroll" }, h("table", { class: "cards", id: "replicas" },
    h("caption", { class: "visually-hidden" }, "The key's preference list"),
    h("thead", {}, h("tr", {}, heads.map((head) =>
      h("th", { scope: "col", class: isNumber(head) ? "number" : null }, head)))),
    h("tbody", {}, explained.replicas.map((replica, i) => replicaRow(replica, i, parts)))));
}

function siblingCard(sibling, i, parts) {
  const { siblings, onKeep } = parts;
  const isOne = siblings.length === 1;
  const metadata = sibling.stored["Starling-Metadata"];
  const title = isOne ? "Value" : "Sibling " + (i + 1) + " of " + siblings.length;
  const facts = [sibling.stored["Content-Type"], bytes(sibling.value.length),
    sibling.lastModified];
  return h("article", { class: "sibling" },
    h("h4", {}, title),
    h("p", { class: "muted facts" }, facts.filter(Boolean).join(" · ")),
    h("pre", { tabindex: 0, "aria-label": title + ", its content" }, preview(sibling.value)),
    metadata === undefined ? null : h("p", { class: "muted mono" }, "metadata " + metadata),
    isOne ? null : h("button", {
      type: "button", class: "primary", onclick: () => onKeep(sibling, i),
    }, "Keep this one"));
}

export class Lookup {
  #paintOf = new Map();
  #onPartition;
  #turn = 0;

  /** onPartition is called with the partition of the key that is shown, or null. */
  constructor(onPartition) {
    this.#onPartition = onPartition;
    byId("lookup-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const key = { namespace: byId("namespace").value.trim(), key: byId("key").value };
      if (key.key === "." || key.key === "..") {
        // A browser takes these for folders, escaped or not: it would ask for something else.
        say(byId("lookup-status"), "A browser's address cannot carry the key " + key.key +
          ": ask for it in a batch.");
        return;
      }
      history.replaceState(null, "", "#key=" + pathOf(key));
      void this.run(key, "");
    });
    window.addEventListener("hashchange", () => this.fromAddress());
  }

  paint(members) {
    this.#paintOf = new Map(members.map(({ id, paint }) => [id, paint]));
  }

  /** A link to a key opens it: #key=namespace/key, both percent-encoded. */
  fromAddress() {
    const match = /^#key=([^/]+)\/(.+)$/.exec(location.hash);
    if (match === null) return;
    try {
      const key = {
        namespace: decodeURIComponent(match[1]), key: decodeURIComponent(match[2]),
      };
      byId("namespace").value = key.namespace;
      byId("key").value = key.key;
      void this.run(key, "");
    } catch {
      say(byId("lookup-status"), "The address names no key.");
    }
  }

  async run(key, note) {
    const turn = ++this.#turn;
    say(byId("lookup-status"), "Asking the replicas …");
    try {
      const [explained, held] = await Promise.all([
        json("/v1/cluster/explain/" + pathOf(key)),
        readValue(key).catch((error) => ({ context: null, siblings: [], error })),
      ]);
      if (turn === this.#turn) this.#draw(key, { explained, held, note });
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#onPartition(null);
      show(byId("lookup-result"));
      say(byId("lookup-status"), error.message);
    }
  }

  #draw(key, { explained, held, note }) {
    const tags = tagsOf(explained.replicas);
    const parts = { tags, paintOf: this.#paintOf, now: Date.now() };
    const { siblings, context, error } = held;
    const onKeep = (sibling, i) => void this.#resolve(key, { context, sibling, i });
    const values = siblings.map((item, i) => siblingCard(item, i, { siblings, onKeep }));
    const nothing = error === undefined ? "There is no value." : error.message;
    say(byId("lookup-status"), note + agreement(explained, tags));
    this.#onPartition(explained.partition);
    show(byId("lookup-result"),
      h("p", { class: "muted" }, "Partition " + explained.partition + ", N = " + explained.n +
        ": the first " + explained.n + " are its primaries, the others its fallbacks in turn."),
      replicaTable(explained, parts),
      siblings.length < 2 ? null :
        h("h3", {}, plural(siblings.length, "sibling") + " side by side"),
      values.length === 0 ? h("p", { class: "muted" }, nothing) :
        h("div", { class: "siblings" }, values));
  }

  async #resolve(key, { context, sibling, i }) {
    say(byId("lookup-status"), "Writing …");
    try {
      await keep(key, context, sibling);
      byId("lookup-status").focus();
      await this.run(key, "Resolved: sibling " + (i + 1) + " was kept. ");
    } catch (error) {
      say(byId("lookup-status"), error.message);
    }
  }
}
`;
