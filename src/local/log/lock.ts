/**
 * One process per data folder.
 *
 * Node has no flock. A lock file with a process id in it has to be judged by whoever finds it. The
 * id may belong to another process by now, or be of another container; and two that both judge it
 * stale both go on. A socket in the folder has the same race, and a path of at most 108 bytes. But
 * Node carries SQLite, and SQLite's exclusive transaction is the operating system's own lock on a
 * file (fcntl on POSIX, LockFileEx on Windows): taken at once or refused at once, held as long as
 * the process lives, released by the kernel however that ends, and shared by containers that mount
 * the same folder. The database stays an empty file named `lock`; nothing is ever written to it,
 * and it can be left where it is.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { LogFolderError } from "../../../replica/log-disk.ts";

const LOCK_FILE = "lock";
const SQLITE_BUSY = 5;
/** SQLITE_READONLY and SQLITE_CANTOPEN. */
const NOT_WRITABLE = new Set<unknown>([8, 14]);
const IN_USE = "the data folder is in use by another process: stop that one, or use another folder";

export interface FolderLock {
  /** Names the folder for as long as it is this one; a copy of it has another name. */
  readonly place: string;
  release(): void;
}

/** Whether a folder has a lock file: without one, nobody ever opened it for writing. */
export const hasLockFile = (dir: string): boolean => existsSync(join(dir, LOCK_FILE));

/** @throws LogFolderError when another process (or this one, before) holds the folder */
export function lockFolder(dir: string): FolderLock {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(dir, LOCK_FILE), { timeout: 0 });
    // Without these the transaction would make a journal beside the lock.
    database.exec("PRAGMA journal_mode = MEMORY");
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    throw new LogFolderError(`${dir}: ${reasonOf(error)}`);
  }
  const held = database;
  return { place: placeOf(join(dir, LOCK_FILE)), release: () => held.close() };
}

/**
 * The lock is made once and never replaced, so its inode names the folder: a copy has another, and
 * the time of its creation tells it from a file that was given the same number again. The device is
 * left out, because it is numbered anew at each mount. A copy of a whole file system keeps both,
 * and goes unnoticed.
 */
function placeOf(file: string): string {
  const { ino, birthtimeNs } = statSync(file, { bigint: true });
  return `${ino}-${birthtimeNs}`;
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  if (code === SQLITE_BUSY) return IN_USE;
  if (NOT_WRITABLE.has(code)) {
    return "the data folder cannot be written to: give --data one that this user may write to";
  }
  return `the data folder cannot be locked: ${error instanceof Error ? error.message : "unknown"}`;
}
