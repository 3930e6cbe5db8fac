/** What a process allocates on its JavaScript heap, by what its collector prints (`--trace-gc`). */
import type { Server } from "./processes.ts";

/** For node: a line for each collection, with the heap before and after it. */
export const ALLOCATION_FLAGS = ["--trace-gc"] as const;
const COLLECTION = /(?:Scavenge|Mark-Compact)[^\n]*? ([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB/;
const MB = 1024 * 1024;

export class Allocations {
  #rest = "";
  /** In MB, after the last collection; null before the first one. */
  #heldAfter: number | null = null;
  #allocatedMb = 0;

  /** @param server started with `ALLOCATION_FLAGS` */
  constructor(server: Server) {
    server.onSaid = (text) => this.#hear(text);
  }

  /** Up to the last collection, in bytes: a young generation's worth is not known yet. */
  get byteCount(): number {
    return this.#allocatedMb * MB;
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, before, after] = COLLECTION.exec(line) ?? [];
      if (before === undefined || after === undefined) continue;
      if (this.#heldAfter !== null) this.#allocatedMb += Number(before) - this.#heldAfter;
      this.#heldAfter = Number(after);
    }
  }
}
