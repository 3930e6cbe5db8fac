/**
 * A folder in memory that knows what a crash would leave of it, and fails where it is told to.
 *
 * What was written is there at once; what was synced survives. A crash can drop everything else,
 * keep everything (the process died, the machine did not), or keep an arbitrary part of it, torn
 * writes included: between two syncs a real disk gives no order.
 */
import type { Prng } from "../../core/prng.ts";
import { DiskFailure, type DiskStep, type LogDisk } from "../../replica/log-disk.ts";

/** A change to a file that is not synced yet. */
type Change =
  | { readonly at: number; readonly bytes: Uint8Array }
  | { readonly truncatedTo: number };

/** What a file has at first: most records are appended to one that is there. */
const CAPACITY_MIN = 1024;

/**
 * A file's bytes, and those of them that are synced: mostly the first part of the same memory.
 * Appending leaves that part alone; only what changes it, or comes after it was cut off, makes a
 * copy first.
 */
class Inode {
  #memory = new Uint8Array(0);
  #length = 0;
  /** So many bytes of the memory belong to what was synced too. */
  #sharedLength = 0;
  #synced = new Uint8Array(0);
  changes: Change[] = [];

  static of(bytes: Uint8Array<ArrayBuffer>): Inode {
    const inode = new Inode();
    inode.#memory = bytes;
    inode.#length = bytes.length;
    inode.sync();
    return inode;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#memory.subarray(0, this.#length);
  }

  get synced(): Uint8Array<ArrayBuffer> {
    return this.#synced;
  }

  get byteCount(): number {
    return this.#length;
  }

  read(offset: number, into: Uint8Array): number {
    const end = Math.min(offset + into.length, this.#length);
    if (end <= offset) return 0;
    into.set(this.#memory.subarray(offset, end));
    return end - offset;
  }

  change(change: Change): void {
    this.changes.push(change);
    if ("truncatedTo" in change) this.#setLength(change.truncatedTo);
    else {
      const { at, bytes } = change;
      const isShared = at < this.#sharedLength;
      if (isShared || at + bytes.length > this.#memory.length) this.#copy(at + bytes.length);
      if (at > this.#length) this.#memory.fill(0, this.#length, at);
      this.#memory.set(bytes, at);
      this.#length = Math.max(this.#length, at + bytes.length);
    }
  }

  sync(): void {
    this.#synced = this.bytes;
    this.#sharedLength = this.#length;
    this.changes = [];
  }

  /** For a change from outside: it changes what is synced only if nothing was written since. */
  ownBytes(): Uint8Array<ArrayBuffer> {
    if (this.changes.length > 0) this.#copy(this.#length);
    return this.bytes;
  }

  #setLength(length: number): void {
    if (length > this.#length) {
      this.#copy(length);
      this.#memory.fill(0, this.#length, length);
    }
    this.#length = length;
  }

  #copy(byteCount: number): void {
    const memory = new Uint8Array(Math.max(CAPACITY_MIN, 2 * byteCount));
    memory.set(this.bytes);
    this.#memory = memory;
    this.#sharedLength = 0;
  }
}

function applied(bytes: Uint8Array<ArrayBuffer>, change: Change): Uint8Array<ArrayBuffer> {
  const length =
    "at" in change ? Math.max(bytes.length, change.at + change.bytes.length) : change.truncatedTo;
  const next = new Uint8Array(length);
  next.set(bytes.subarray(0, length));
  if ("at" in change) next.set(change.bytes, change.at);
  return next;
}

type Names = Map<string, Inode>;
type NameChange = (names: Names) => void;

export type CrashMode = "drop" | "keep" | { readonly prng: Prng };

/** What goes wrong at a step: a part of a write may be carried out before it fails. */
export type Fault = { readonly kind: "full" | "failed"; readonly partial: boolean };

export class MemoryDisk implements LogDisk {
  #names: Names = new Map();
  /** The folder as it was synced, and how names have changed since then, in order. */
  #syncedNames: Names = new Map();
  #nameChanges: NameChange[] = [];
  stepsCount = 0;
  /** Asked before each step. */
  fault: (step: DiskStep, number: number) => Fault | undefined = () => undefined;
  /** Asked before each read. */
  readFault: (file: string) => boolean = () => false;

  list(): readonly string[] {
    return [...this.#names.keys()];
  }

  byteCount(file: string): number | undefined {
    return this.#names.get(file)?.byteCount;
  }

  read(file: string, offset: number, into: Uint8Array): number {
    if (this.readFault(file)) throw new DiskFailure("failed", "read failed: EIO");
    const inode = this.#names.get(file);
    if (inode === undefined) throw new DiskFailure("failed", "read failed: ENOENT");
    return inode.read(offset, into);
  }

  run(step: DiskStep): void {
    const fault = this.fault(step, this.stepsCount++);
    if (fault === undefined) {
      this.#carryOut(step);
      return;
    }
    if (fault.partial && step.do === "write") this.#writePart(step);
    // The kernel drops what it could not write and says nothing more about it.
    if (step.do === "sync") this.#forgetUnsynced(step.file);
    throw new DiskFailure(fault.kind, `${step.do} failed`);
  }

  #carryOut(step: DiskStep): void {
    if (step.do === "create") this.#create(step.file);
    else if (step.do === "write") this.#write(step.file, step.offset, step.chunks);
    else if (step.do === "truncate") {
      this.#inode(step.file).change({ truncatedTo: step.byteCount });
    } else if (step.do === "sync") this.#inode(step.file).sync();
    else if (step.do === "sync-folder") this.#syncNames();
    else this.#rename(step);
  }

  /** A copy of everything, the unsynced included. */
  clone(): MemoryDisk {
    return this.crash("keep");
  }

  /** The disk after a crash of the machine. */
  crash(mode: CrashMode): MemoryDisk {
    const next = new MemoryDisk();
    const folder = this.#folderAfter(mode);
    for (const [name, inode] of folder) {
      next.#names.set(name, Inode.of(contentsAfter(inode, mode)));
    }
    next.#syncedNames = new Map(next.#names);
    return next;
  }

  bytesOf(file: string): Uint8Array {
    return this.#inode(file).ownBytes();
  }

  /** Sets a file's durable contents: for crash images, and for rot. */
  put(file: string, bytes: Uint8Array): void {
    this.#names.set(file, Inode.of(Uint8Array.from(bytes)));
    this.#syncedNames = new Map(this.#names);
    this.#nameChanges = [];
  }

  #folderAfter(mode: CrashMode): Names {
    if (mode === "keep") return this.#names;
    const changes = this.#nameChanges;
    const count = mode === "drop" ? 0 : mode.prng.below(changes.length + 1);
    const folder = new Map(this.#syncedNames);
    for (const change of changes.slice(0, count)) change(folder);
    return folder;
  }

  #syncNames(): void {
    for (const change of this.#nameChanges) change(this.#syncedNames);
    this.#nameChanges = [];
  }

  #inode(file: string): Inode {
    const inode = this.#names.get(file);
    if (inode === undefined) throw new DiskFailure("failed", "ENOENT");
    return inode;
  }

  #create(file: string): void {
    const known = this.#names.get(file);
    if (known !== undefined) known.change({ truncatedTo: 0 });
    else {
      const inode = new Inode();
      this.#changeNames((names) => names.set(file, inode));
    }
  }

  #rename(step: Extract<DiskStep, { do: "rename" | "remove" }>): void {
    const inode = step.do === "rename" ? this.#inode(step.file) : undefined;
    this.#changeNames((names) => {
      names.delete(step.file);
      if (step.do === "rename" && inode !== undefined) names.set(step.to, inode);
    });
  }

  #changeNames(change: NameChange): void {
    change(this.#names);
    this.#nameChanges.push(change);
  }

  /** One copy of all chunks: whoever wrote them may use their memory again. */
  #write(file: string, offset: number, chunks: readonly Uint8Array[]): void {
    const inode = this.#inode(file);
    const [only] = chunks;
    if (chunks.length === 1 && only !== undefined) {
      return inode.change({ at: offset, bytes: only.slice() });
    }
    const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      inode.change({ at: offset + at, bytes: all.subarray(at, at + chunk.length) });
      at += chunk.length;
    }
  }

  #writePart(step: Extract<DiskStep, { do: "write" }>): void {
    const all = new Uint8Array(step.chunks.flatMap((chunk) => [...chunk]));
    this.#write(step.file, step.offset, [all.subarray(0, Math.floor(all.length / 2))]);
  }

  #forgetUnsynced(file: string): void {
    const inode = this.#inode(file);
    // The page cache may still show them; the disk never will.
    inode.changes = [];
  }
}

function contentsAfter(inode: Inode, mode: CrashMode): Uint8Array<ArrayBuffer> {
  // With "keep", the process begins another life on the same disk; a clone has one of its own.
  if (mode === "keep") return inode.bytes.slice();
  let bytes = inode.synced;
  if (mode === "drop") return bytes;
  for (const change of inode.changes) {
    if (mode.prng.chance(1, 3)) continue;
    if ("at" in change && mode.prng.chance(1, 2)) {
      const length = mode.prng.below(change.bytes.length + 1);
      bytes = applied(bytes, { at: change.at, bytes: change.bytes.subarray(0, length) });
    } else {
      bytes = applied(bytes, change);
      if ("at" in change && mode.prng.chance(1, 3)) punch(bytes, change, mode.prng);
    }
  }
  return bytes;
}

/** A stretch of a write never reached the disk, though what came behind it did. */
function punch(
  bytes: Uint8Array,
  change: { readonly at: number; readonly bytes: Uint8Array },
  prng: Prng,
): void {
  const from = change.at + prng.below(change.bytes.length + 1);
  const to = Math.min(from + 64, change.at + change.bytes.length);
  bytes.fill(0, from, to);
}
