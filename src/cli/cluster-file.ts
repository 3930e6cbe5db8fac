/** The cluster file that `starling cluster` makes for nodes that are all on this machine. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDataFolder } from "../local/process/make-folder.ts";
import { evenZones } from "../local/process/zones.ts";
import { CliError } from "./output.ts";

export interface Plan {
  readonly file: string;
  readonly members: readonly { readonly id: string; readonly zone: string; readonly url: string }[];
}

type Members = Plan["members"];

/** The members that a cluster file names, as far as it can be read. */
function membersOf(text: string): Members {
  try {
    const { members } = JSON.parse(text) as { members: Members };
    return members.map(({ id, zone, url }) => ({ id, zone, url }));
  } catch {
    return [];
  }
}

/** The flags that a file was made with, to go on with it; empty when it cannot be read. */
function flagsOf(text: string, baseUrl: string): string {
  const members = membersOf(text);
  const url = members[0]?.url ?? "";
  if (!URL.canParse(url)) return "";
  const { port, protocol } = new URL(url);
  const isSame = baseUrl.startsWith(protocol);
  const tls = isSame ? "" : ` ${protocol === "https:" ? "with" : "without"} --tls-cert`;
  return `--nodes ${members.length} --base-port ${Number(port) - 1}${tls}, or `;
}

interface Layout {
  readonly count: number;
  readonly baseUrl: string;
  readonly basePort: number;
}

/**
 * Writes the cluster file; one that is there already must say the same, but for its zones.
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
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  // A process that was killed while it wrote this had begun nothing else yet.
  if (text === "") {
    writeFileSync(file, textOf(members));
    return { file, members };
  }
  const found = membersIn(membersOf(text).map(({ zone }) => zone));
  if (text === textOf(found)) return { file, members: found };
  throw new CliError(
    `${file} describes another cluster: use ${flagsOf(text, baseUrl)}another --data`,
  );
}
