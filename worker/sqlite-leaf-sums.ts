import type { LeafSums, TreeName } from "../antientropy/merkle-tree.ts";
import { present } from "../core/assert.ts";
import { LEAF_COUNT } from "../core/limits.ts";
import { numberIn, rowsOf, type Sql } from "./sqlite-rows.ts";

/**
 * The sums of Merkle leaves in their own table: a write costs one row, a restart nothing. A tree
 * that was once compared stays in memory (2 KB, half a megabyte for 256 partitions), so that
 * replicas which compare themselves all day do not read, and pay for, 256 rows a tree each time.
 */
export class SqliteLeafSums implements LeafSums {
  readonly #sql: Sql;
  readonly #trees = new Map<number, Float64Array>();

  constructor(sql: Sql) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS leaf_sums (
      tree INTEGER NOT NULL, leaf INTEGER NOT NULL, sum INTEGER NOT NULL,
      PRIMARY KEY (tree, leaf)) WITHOUT ROWID`);
  }

  readLeaf(tree: TreeName, leaf: number): number {
    const known = this.#trees.get(idOf(tree));
    if (known !== undefined) return present(known[leaf]);
    const query = "SELECT sum FROM leaf_sums WHERE tree = ? AND leaf = ?";
    const [row] = rowsOf(this.#sql, query, idOf(tree), leaf);
    return row === undefined ? 0 : numberIn(row, "sum");
  }

  read(tree: TreeName): ArrayLike<number> {
    const id = idOf(tree);
    const known = this.#trees.get(id);
    if (known !== undefined) return known;
    const sums = new Float64Array(LEAF_COUNT);
    const query = "SELECT leaf, sum FROM leaf_sums WHERE tree = ?";
    for (const row of rowsOf(this.#sql, query, id)) {
      sums[numberIn(row, "leaf")] = numberIn(row, "sum");
    }
    this.#trees.set(id, sums);
    return sums;
  }

  write(tree: TreeName, leaf: number, sum: number): void {
    const upsert = `INSERT INTO leaf_sums (tree, leaf, sum) VALUES (?, ?, ?)
                    ON CONFLICT (tree, leaf) DO UPDATE SET sum = excluded.sum`;
    this.#sql.exec(upsert, idOf(tree), leaf, sum);
    const known = this.#trees.get(idOf(tree));
    if (known !== undefined) known[leaf] = sum;
  }
}

/** N is at most 5. */
const idOf = ({ partition, n }: TreeName): number => partition * 8 + n;
