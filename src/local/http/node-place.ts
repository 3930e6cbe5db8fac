/** Where a node is reached, where it listens, and who may ask it without a token there. */
import type { Server } from "node:http";
import type { ClusterConfig } from "../../../ring/cluster-config.ts";
import { isLoopback } from "../identity/cluster-secret.ts";
import { ConfigError } from "../process/config-error.ts";
import {
  isOnLoopback,
  type ListenAddress,
  listenAddress,
  listenAt,
  reasonOf,
} from "./listening.ts";

export interface PlaceOptions {
  readonly clusterFile: string;
  readonly id: string;
  readonly secretFile?: string | undefined;
  /** From --listen. */
  readonly listen?: string | undefined;
}

export interface Where {
  readonly url: URL;
  readonly place: ListenAddress;
  /** Whether, without tokens, everybody may do everything, because no other machine can ask. */
  readonly openOnLoopback: boolean;
}

/** @throws ConfigError where others could reach a cluster whose secret everybody can derive */
export function whereOf(
  { id, listen, secretFile }: PlaceOptions,
  { members }: ClusterConfig,
): Where {
  const url = new URL(members.find((member) => member.id === id)?.url ?? "");
  const place = listenAddress(url, listen);
  const openOnLoopback = isLoopback(url.href) && isOnLoopback(place);
  if (listen === undefined || isOnLoopback(place) || secretFile !== undefined) {
    return { url, place, openOnLoopback };
  }
  throw new ConfigError(
    `--listen ${listen} is not on loopback, so the cluster needs a secret: give --secret-file`,
  );
}

const ELSEWHERE = "change the url, or name an address of this machine with --listen";
/** By the system's error, what to do about an address that cannot be listened on. */
const MENDS: Readonly<Record<string, string>> = {
  EACCES: "use a port above 1023, or give the process CAP_NET_BIND_SERVICE",
  EADDRNOTAVAIL: ELSEWHERE,
  EAI_AGAIN: ELSEWHERE,
  ENOTFOUND: ELSEWHERE,
};

/** @throws ConfigError with one line that names the file, the member and the mend */
export async function listenAs(server: Server, at: ListenAddress, of: PlaceOptions): Promise<void> {
  await listenAt(server, at).catch((error: NodeJS.ErrnoException) => {
    const { host = "*", port } = at;
    const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const mend = MENDS[error.code ?? ""] ?? "stop what listens there or change the url";
    const line = `member ${of.id} cannot listen on ${where}: ${reasonOf(error)}; ${mend}`;
    throw new ConfigError(`${of.clusterFile}: ${line}`);
  });
}
