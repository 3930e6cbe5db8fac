/**
 * A log in a process that may have few descriptors: it is filled, then all descriptors are used up,
 * and how the log fares then is printed as one line of JSON. So is what a disk says that has
 * nothing open and nothing to spare.
 *
 *     node descriptors-child.ts DIR
 */
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import xxhash from "xxhash-wasm";
import { type Bytes, wholeOf } from "../../core/pieces.ts";
import { DiskFailure } from "../../replica/log-disk.ts";
import { openLog } from "../../src/local/log/file-log.ts";
import { NodeDisk } from "../../src/local/log/node-disk.ts";

const [dir = ""] = process.argv.slice(2);
const VALUE_BYTES = 1000;
const reported: string[] = [];
const log = await openLog({
  dir,
  hasher: await xxhash(),
  disk: new NodeDisk(dir, { openFilesMax: 4 }),
  segmentByteCountMax: 4000,
  recentBytesMax: 0,
  retryMs: 20,
  onFailure: ({ kind, message }) => reported.push(`${kind}: ${message}`),
});

async function write(from: number, count: number): Promise<string> {
  for (let i = from; i < from + count; i++) {
    if (log.store.health() !== "writable") return log.store.health();
    const bytes = new Uint8Array(VALUE_BYTES).fill(i);
    log.store.writeEntry(`demo\0k${i}`, { bytes, partition: 1, digest: 1 + i, dueAt: 0 });
    await log.flush().catch(() => {});
  }
  return log.store.health();
}

const firstOf = (bytes: Bytes | undefined): number | undefined => bytes && wholeOf(bytes)[0];
const readable = (count: number): number =>
  Array.from({ length: count }, (_, i) => firstOf(log.store.readEntry(`demo\0k${i}`))).filter(
    (first, i) => first === i,
  ).length;

await write(0, 20);
const bare = new NodeDisk(dir, { spareCount: 0 });
const [file = ""] = bare.list().filter((name) => name.endsWith(".wal"));
const taken: number[] = [];
try {
  for (;;) taken.push(openSync(devNull, "r"));
} catch {
  // All that there are.
}
function kindOf(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof DiskFailure ? `${error.kind}: ${error.message}` : String(error);
  }
}

const kinds = [
  kindOf(() => bare.run({ do: "create", file: "new" })),
  kindOf(() => bare.run({ do: "sync", file })),
  kindOf(() => bare.run({ do: "sync-folder" })),
];
const meanwhile = await write(20, 20);
const read = readable(20);
for (const fd of taken) closeSync(fd);
for (let i = 0; i < 200 && log.store.health() !== "writable"; i++) {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
const after = await write(40, 10);
const { corruptReadsCount } = log.metrics();
await log.close();
console.log(JSON.stringify({ meanwhile, read, after, corruptReadsCount, reported, kinds }));
