/**
 * What the log asks of a disk.
 *
 * Questions are synchronous. Every change is a `DiskStep`: the log hands out lists of them as jobs
 * and hears later how a job ended, so that the Node host can run them in its thread pool, the
 * simulator in virtual time with a crash between any two, and recovery at once.
 */

export type DiskStep =
  /** Makes an empty file; one that is there already is emptied. */
  | { readonly do: "create"; readonly file: string }
  /** Writes the chunks one after another from an offset on. */
  | {
      readonly do: "write";
      readonly file: string;
      readonly offset: number;
      readonly chunks: readonly Uint8Array[];
    }
  /** `fdatasync`. Never repeated after it failed: the kernel forgets what it could not write. */
  | { readonly do: "sync"; readonly file: string }
  | { readonly do: "truncate"; readonly file: string; readonly byteCount: number }
  | { readonly do: "rename"; readonly file: string; readonly to: string }
  /** A file that is not there is as good as removed. */
  | { readonly do: "remove"; readonly file: string }
  /** Makes created, renamed and removed names durable. */
  | { readonly do: "sync-folder" };

export interface LogDisk {
  /** The names of all files in the folder, in any order. */
  list(): readonly string[];
  /** The length of a file, `undefined` when there is none. */
  byteCount(file: string): number | undefined;
  /**
   * Fills `into` from an offset on and returns how many bytes there were.
   * @throws DiskFailure
   */
  read(file: string, offset: number, into: Uint8Array): number;
  /** Carries out one step now. Only opening a folder does so. @throws DiskFailure */
  run(step: DiskStep): void;
}

/**
 * - `full`: there was no room, or no file could be opened just then. Part of a write may be there;
 *   the same step may be tried again.
 * - `failed`: anything else. What the disk holds is unknown until it is read after a restart.
 */
export type DiskFailureKind = "full" | "failed";

export class DiskFailure extends Error {
  override readonly name = "DiskFailure";
  readonly kind: DiskFailureKind;

  constructor(kind: DiskFailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The folder cannot be used as it is. One line, for a person. */
export class LogFolderError extends Error {
  override readonly name = "LogFolderError";
}

/** Replaces a file so that a crash at any point leaves the old one or the new one, whole. */
export function replaceSteps(file: string, bytes: Uint8Array): DiskStep[] {
  const aside = `${file}.new`;
  return [
    { do: "create", file: aside },
    { do: "write", file: aside, offset: 0, chunks: [bytes] },
    { do: "sync", file: aside },
    { do: "rename", file: aside, to: file },
    { do: "sync-folder" },
  ];
}
