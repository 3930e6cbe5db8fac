/**
 * Room ahead of a segment's records: zeros that are on the disk already when records take their
 * place. A synced write that makes a file longer also waits for the file system's journal; one that
 * overwrites does not, and is twice as fast (see bench/README.md).
 *
 * Nothing relies on it. A reader recognises zeros up to the end of the segment that was open
 * (replica/log-recovery.ts), and where there is no room the file grows with its records.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { isOutOfDescriptors } from "../process/descriptors.ts";

/**
 * Room is made in the background when half of it is left: at most this many bytes, and at first …
 */
const ROOM_BYTES_MAX = 1024 * 1024;
/** … as much as the file already holds, but none before it holds so much. */
const ROOM_BYTES_MIN = 4096;

const ZEROS = new Uint8Array(ROOM_BYTES_MAX);

export class RoomAhead {
  readonly file: string;
  readonly #path: string;
  #handle: FileHandle | null = null;
  /** Where the records end, those on their way to the disk included. */
  #end: number;
  /** Where the file ends, but for the room that is being made. */
  #fileEnd: number;
  #making: Promise<void> | null = null;
  #isOver = false;
  #failure: Error | null = null;

  /** @param end where the records of the file end so far */
  constructor(file: string, path: string, end: number) {
    this.file = file;
    this.#path = path;
    this.#end = end;
    this.#fileEnd = end;
  }

  /**
   * To be called before records are written: resolves when no zeros can come on top of them.
   *
   * @throws the system's error when room could not be made, unless there was none to give: what the
   *   disk holds is then as uncertain as after any other write that failed
   */
  async admit(end: number): Promise<void> {
    this.#end = Math.max(this.#end, end);
    if (end > this.#fileEnd) await this.#making;
    if (this.#failure !== null) throw this.#failure;
  }

  /** To be called when they are written: makes room, if there is not enough. Waits for nothing. */
  extend(): void {
    this.#fileEnd = Math.max(this.#fileEnd, this.#end);
    const byteCount = Math.min(ROOM_BYTES_MAX, this.#end);
    const isEnough = this.#fileEnd - this.#end >= byteCount / 2;
    if (this.#isOver || this.#making !== null || isEnough || byteCount < ROOM_BYTES_MIN) return;
    this.#making = this.#make(byteCount);
  }

  /** The file was cut. */
  cutTo(byteCount: number): void {
    this.#end = byteCount;
    this.#fileEnd = Math.min(this.#fileEnd, byteCount);
  }

  /** Gives back what is left of the room: no more records will come. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#making;
    const handle = this.#handle;
    this.#handle = null;
    if (handle === null) return;
    // What stays is a few zeros too many behind the last record, and nobody reads them.
    if (this.#failure === null) await handle.truncate(this.#end).catch(() => undefined);
    await handle.close();
  }

  async #make(byteCount: number): Promise<void> {
    const at = this.#fileEnd;
    const flags = constants.O_WRONLY | constants.O_DSYNC;
    try {
      this.#handle ??= await open(this.#path, flags);
      const { bytesWritten } = await this.#handle.write(ZEROS, 0, byteCount, at);
      this.#fileEnd = at + bytesWritten;
    } catch (error) {
      this.#isOver = true;
      if (error instanceof Error && isFailure(error)) this.#failure = error;
    }
    this.#making = null;
  }
}

/** Too many open files, or no more room, are no reason to distrust the disk. */
const isFailure = (error: NodeJS.ErrnoException): boolean =>
  !isOutOfDescriptors(error) && !["ENOSPC", "EDQUOT"].includes(error.code ?? "");
