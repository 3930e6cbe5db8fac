/** A process that writes for ever and says after each flush what is durable. Killed by the test. */
import { writeSync } from "node:fs";
import xxhash from "xxhash-wasm";
import { openLog } from "../../src/local/log/file-log.ts";

const [, , dir = "", first = "0"] = process.argv;
const log = await openLog({
  dir,
  hasher: await xxhash(),
  segmentByteCountMax: 20_000,
  backgroundPauseMs: 0,
});
writeSync(1, `ready ${log.store.recovery.corruptCount}\n`);

async function write(key: number): Promise<never> {
  for (let i = Number(first); ; i++) {
    const bytes = new TextEncoder().encode(`${i} ${"x".repeat(i % 200)}`);
    log.store.writeEntry(`demo\0${key}`, { bytes, partition: 1, digest: 1, dueAt: 0 });
    await log.flush();
    writeSync(1, `${key} ${i}\n`);
  }
}
await Promise.all(Array.from({ length: 8 }, (_, key) => write(key)));
