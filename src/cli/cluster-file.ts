/** The cluster file that `starling cluster` makes for nodes that are all on this machine. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDataFolder } from "../local/process/make-folder.ts";
import { evenZones } from "../local/process/zones.ts";
import { CliError } from "./output.ts";

export interface Plan {
  readonly file: string;
  readonly members: readonly { readonly id: string; readonly zone: string; readonly url: string }[];
}

/** The zones that a cluster file has, as far as it can be read. */
function zonesIn(text: string): readonly string[] {
  try {
    const { members } = JSON.parse(text) as { members: readonly { zone: string }[] };
    return members.map(({ zone }) => zone);
  } catch {
    return [];
  }
}

interface Layout {
  readonly count: number;
  readonly baseUrl: string;
  readonly basePort: number;
}

/**
 * The generated cluster file; one that is there already must say the same, but for its zones.
 *
 * @throws CliError
 */
export function writeClusterFile(dir: string, { count, baseUrl, basePort }: Layout): Plan {
  const membersIn = (zones: readonly string[]) =>
    Array.from({ length: count }, (_, i) => ({
      id: `r${i + 1}`,
      zone: zones[i] ?? "",
      url: `${baseUrl}:${basePort + i + 1}`,
    }));
  const n = Math.min(3, count);
  const textOf = (members: ReturnType<typeof membersIn>): string =>
    `${JSON.stringify({ name: "local", partitions: 256, n, members }, null, 2)}\n`;
  const file = join(dir, "cluster.json");
  const members = membersIn(evenZones(count));
  makeDataFolder(dir);
  try {
    writeFileSync(file, textOf(members), { flag: "wx" });
    return { file, members };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const text = readFileSync(file, "utf8");
  const found = membersIn(zonesIn(text));
  if (text === textOf(found)) return { file, members: found };
  throw new CliError(
    `${file} describes another cluster: use its nodes and ports, or another --data`,
  );
}
