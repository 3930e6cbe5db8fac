/**
 * A full-text index of a namespace, kept up to date by its change feed: `GET /?q=words`.
 *
 * The index and the feed's token are one file, written aside and renamed. So this program may be
 * killed at any instant, and goes on from what it had written last; without the file it begins with
 * what lives. Whatever comes twice is indexed twice, to the same effect.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import MiniSearch from "minisearch";
import { StarlingClient } from "starling-cache/client";

const {
  STARLING_URL = "http://127.0.0.1:8787",
  STARLING_TOKEN,
  NAMESPACE = "articles",
  PORT = "8090",
  STATE = "search-index.json",
} = process.env;

const SAVE_MS = 1000;
const HITS_MAX = 20;
const OPTIONS = { fields: ["text"] };

const client = new StarlingClient({
  url: STARLING_URL.split(","),
  namespace: NAMESPACE,
  ...(STARLING_TOKEN === undefined ? {} : { token: STARLING_TOKEN }),
});

class SearchIndex {
  words = new MiniSearch(OPTIONS);
  /** The feed has told everything up to here. */
  token = "beginning";
  /** Of each key that is indexed. */
  partitionOf = new Map();
  /** Keys of a resync that have not been told again yet. */
  doubtful = new Set();
  isSaved = true;

  load() {
    let text;
    try {
      text = readFileSync(STATE, "utf8");
    } catch (error) {
      if (error.code === "ENOENT") return;
      throw error;
    }
    const { words, token, partitions, doubtful } = JSON.parse(text);
    this.words = MiniSearch.loadJS(words, OPTIONS);
    this.token = token;
    this.partitionOf = new Map(partitions);
    this.doubtful = new Set(doubtful);
  }

  save() {
    if (this.isSaved) return;
    const { words, token } = this;
    const state = { words, token, partitions: [...this.partitionOf], doubtful: [...this.doubtful] };
    writeFileSync(`${STATE}.new`, JSON.stringify(state));
    renameSync(`${STATE}.new`, STATE);
    this.isSaved = true;
  }

  take(change) {
    if (change.key !== undefined) this.#takeKey(change);
    else if (change.type === "resync") this.#doubt(new Set(change.partitions));
    else if (change.type === "resync-end") this.#settle(new Set(change.partitions));
    // A purge as a whole needs nothing: each of its keys is told of as it is swept.
    this.token = change.token;
    this.isSaved = false;
  }

  #takeKey({ key, partition, value }) {
    this.doubtful.delete(key);
    if (value === undefined) this.#drop(key);
    else {
      const text = new TextDecoder().decode(value);
      if (this.words.has(key)) this.words.replace({ id: key, text });
      else this.words.add({ id: key, text });
      this.partitionOf.set(key, partition);
    }
  }

  #drop(key) {
    if (this.words.has(key)) this.words.discard(key);
    this.partitionOf.delete(key);
  }

  /** What is told from here to the end of the resync is all that lives in these partitions. */
  #doubt(partitions) {
    for (const [key, partition] of this.partitionOf) {
      if (partitions.has(partition)) this.doubtful.add(key);
    }
  }

  #settle(partitions) {
    for (const key of this.doubtful) {
      if (!partitions.has(this.partitionOf.get(key))) continue;
      this.doubtful.delete(key);
      this.#drop(key);
    }
  }

  search(query) {
    const hits = this.words.search(query, { prefix: true, fuzzy: 0.2 });
    return hits
      .slice(0, HITS_MAX)
      .map(({ id, score }) => ({ key: id, score: Number(score.toFixed(2)) }));
  }
}

const index = new SearchIndex();
index.load();

const server = createServer((request, response) => {
  const query = new URL(request.url, "http://localhost").searchParams.get("q") ?? "";
  const body = { documents: index.words.documentCount, hits: index.search(query) };
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
});
server.listen(Number(PORT), "127.0.0.1", () => {
  const { port } = server.address();
  console.log(`http://127.0.0.1:${port}/?q=… over ${index.words.documentCount} documents`);
});
setInterval(() => index.save(), SAVE_MS);
const stop = () => {
  index.save();
  process.exit(0);
};
process.once("SIGINT", stop).once("SIGTERM", stop);

// It asks again by itself, through whichever node answers, for as long as this program runs.
for await (const change of client.changes({ since: index.token, values: true })) index.take(change);
