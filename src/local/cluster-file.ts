/**
 * What a node goes by before it knows the ring: the cluster file. It need not name a member that
 * was added after it was written: the ring of the members that the file does name says where that
 * one listens, and so does the ring in its own folder.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CodecError, readOr } from "../../core/check.ts";
import { isReplicaId } from "../../core/ids.ts";
import { MANIFEST_FILE } from "../../replica/log-format.ts";
import { type ClusterConfig, parseClusterConfig } from "../../ring/cluster-config.ts";
import type { ClusterDocument } from "../../ring/cluster-document.ts";
import { storedDocument } from "../node/documents.ts";
import type { TlsFiles } from "./identity/certificates.ts";
import { ClusterSecret, type SecretFiles } from "./identity/cluster-secret.ts";
import { checkSchemes, NodeTls } from "./identity/tls.ts";
import type { Hasher } from "./log/checksum.ts";
import { openLog } from "./log/file-log.ts";
import { askMembers } from "./peers/founding.ts";
import { ConfigError, readText } from "./process/config-error.ts";

export interface ClusterFileOptions extends SecretFiles {
  readonly id: string;
  readonly tls?: TlsFiles | undefined;
}

type Member = ClusterConfig["members"][number];

/**
 * Reads the cluster file. The node itself is among the members in the result.
 *
 * @throws ConfigError with one line that names the file, the member and the mend
 */
export async function readCluster(
  options: ClusterFileOptions,
  hasher: Hasher,
): Promise<ClusterConfig> {
  const { clusterFile: file, id, tls } = options;
  const text = await readText(file, "cluster file");
  const config = readOr(
    () => parseClusterConfig(text),
    (problem) => new ConfigError(`${file}: ${problem}`),
  );
  const { members } = config;
  const isNamed = members.some((member) => member.id === id);
  const added = isNamed ? [] : [await addedMember(options, { config, hasher })];
  const all = { ...config, members: [...members, ...added] };
  checkSchemes(file, all.members, tls !== undefined);
  return all;
}

interface Given {
  readonly config: ClusterConfig;
  readonly hasher: Hasher;
}

/** @throws ConfigError when nobody knows of such a member */
async function addedMember(options: ClusterFileOptions, given: Given): Promise<Member> {
  const { clusterFile, id } = options;
  const ways = isReplicaId(id) ? [toldMember, keptMember] : [];
  for (const find of ways) {
    const self = await find(options, given);
    if (self !== null) return self;
  }
  const known = given.config.members.map((member) => member.id).join(", ");
  throw new ConfigError(`${clusterFile}: no member has the id "${id}"; choose one of ${known}`);
}

/** Looks in the ring of its folder, whose log is opened one extra time for this. */
async function keptMember(
  { dataDir, id }: ClusterFileOptions,
  { config, hasher }: Given,
): Promise<Member | null> {
  if (!existsSync(join(dataDir, MANIFEST_FILE))) return null;
  const fileLog = await openLog({ dir: dataDir, hasher });
  try {
    const document = storedDocument(fileLog.store);
    return document?.ring.name === config.name ? memberOf(document, id) : null;
  } catch (error) {
    // The node itself reads it next, and says what is wrong.
    if (error instanceof CodecError) return null;
    throw error;
  } finally {
    await fileLog.close();
  }
}

/**
 * Looks in the ring of the members that the file names, one of which has to answer. They are asked
 * before the folder, which may still have the address from before a move.
 */
async function toldMember(options: ClusterFileOptions, { config }: Given): Promise<Member | null> {
  const { id, tls: files } = options;
  const { name: cluster, members } = config;
  const secret = await ClusterSecret.read({ ...options, log: () => {} }, config);
  const tls = files === undefined ? undefined : await NodeTls.read(files, null);
  const parts = { cluster, self: id, members, keys: secret.transportKeys(), tls };
  return askMembers(parts, (document) => memberOf(document, id));
}

/** Looks in a ring that a majority has agreed to, and in the one that a change leads to. */
function memberOf({ ring }: ClusterDocument, id: string): Member | null {
  if (ring.isProvisional === true) return null;
  const members = [...ring.members, ...(ring.change?.to?.members ?? [])];
  const self = members.find((member) => member.id === id);
  if (self === undefined) return null;
  const { zone, url, weight } = self;
  return { id, zone, url, weight };
}
