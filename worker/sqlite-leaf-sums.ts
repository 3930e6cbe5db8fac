import { addSums, type LeafSums, MODULUS, type TreeName } from "../antientropy/merkle-tree.ts";
import { present } from "../core/assert.ts";
import { LEAF_COUNT } from "../core/limits.ts";
import { numberIn, rowsOf, type Sql } from "./sqlite-rows.ts";

/** Of 64 bits there are enough for both, and JavaScript's numbers arrive as floating ones. */
const ADD = `INSERT INTO leaf_sums (tree, leaf, sum) VALUES (?, ?, ?)
  ON CONFLICT (tree, leaf) DO UPDATE
  SET sum = (sum + CAST(excluded.sum AS INTEGER)) % ${MODULUS}`;

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

  /** SQL does the sum: one statement, whether the leaf is in memory or not. */
  add(tree: TreeName, leaf: number, change: number): void {
    this.#sql.exec(ADD, idOf(tree), leaf, change);
    const known = this.#trees.get(idOf(tree));
    if (known !== undefined) known[leaf] = addSums(present(known[leaf]), change);
  }
}

/** N is at most 5. */
const idOf = ({ partition, n }: TreeName): number => partition * 8 + n;
