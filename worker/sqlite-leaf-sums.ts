import type { LeafSums, TreeName } from "../antientropy/merkle-tree.ts";
import { LEAF_COUNT } from "../antientropy/merkle-tree.ts";

/** The sums of Merkle leaves in their own table: a write costs one row, a restart nothing. */
export class SqliteLeafSums implements LeafSums {
  readonly #sql: SqlStorage;

  /** The table is made by the store, which is opened first. */
  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  readLeaf(tree: TreeName, leaf: number): number {
    const query = "SELECT sum FROM leaf_sums WHERE tree = ? AND leaf = ?";
    const [row] = this.#sql.exec<{ sum: number }>(query, idOf(tree), leaf).toArray();
    return row?.sum ?? 0;
  }

  read(tree: TreeName): ArrayLike<number> | undefined {
    const query = "SELECT leaf, sum FROM leaf_sums WHERE tree = ?";
    const rows = this.#sql.exec<{ leaf: number; sum: number }>(query, idOf(tree)).toArray();
    if (rows.length === 0) return undefined;
    const sums = new Float64Array(LEAF_COUNT);
    for (const { leaf, sum } of rows) sums[leaf] = sum;
    return sums;
  }

  write(tree: TreeName, leaf: number, sum: number): void {
    this.#sql.exec(
      `INSERT INTO leaf_sums (tree, leaf, sum) VALUES (?, ?, ?)
       ON CONFLICT (tree, leaf) DO UPDATE SET sum = excluded.sum`,
      idOf(tree),
      leaf,
      sum,
    );
  }
}

const idOf = ({ partition, n }: TreeName): number => partition * 8 + n;
