/**
 * The cluster's secrets on a Node host, and how one is replaced by another without a restart.
 *
 * What is stored depends on the secret that the cluster began with: digests, ETags, the places of
 * keys. So the data keys of that secret stay for ever. The cluster document says them, for members
 * that come with an empty folder, and each folder keeps them, to read its own document by. The
 * secret that proves and seals can change: a file of two lines has two valid ones. The first one
 * seals, both open, and nodes prove whichever the other side takes too.
 */
import { assert } from "../../../core/assert.ts";
import type { Store } from "../../../core/store.ts";
import type { ClusterConfig } from "../../../ring/cluster-config.ts";
import type { RingDocument } from "../../../ring/ring-document.ts";
import { storedDocument } from "../../node/documents.ts";
import { ConfigError, readText } from "../process/config-error.ts";
import type { Log } from "../process/logger.ts";
import { SECRETS_COUNT_MAX } from "./handshake.ts";
import {
  type ClusterKeys,
  clusterKeys,
  DATA_KEYS_BYTES,
  type DataKeys,
  dataKeyBytes,
  dataKeyBytesIn,
  dataKeysFrom,
} from "./secrets.ts";

export interface SecretFiles {
  readonly clusterFile: string;
  readonly dataDir: string;
  /** One line, or two while one secret is replaced by the other. */
  readonly secretFile?: string | undefined;
  /** The secret that the cluster began with. */
  readonly dataSecretFile?: string | undefined;
  readonly log: Log;
}

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);
export const isLoopback = (url: string): boolean => LOOPBACK.has(new URL(url).hostname);

const SECRET_CHARS_MIN = 16;
/** Where a folder keeps the data keys. */
const KEPT = "data keys";

/** @throws ConfigError */
async function readSecrets(file: string, countMax: number): Promise<readonly Uint8Array[]> {
  const text = (await readText(file, "secret file")).trim();
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const secrets = lines.filter((line) => line !== "");
  if (secrets.length > countMax) {
    const what = countMax === 1 ? "one secret" : "at most two secrets, one a line";
    throw new ConfigError(`${file}: it has ${secrets.length} lines: it may hold ${what}`);
  }
  if (secrets.length === 0 || secrets.some((secret) => secret.length < SECRET_CHARS_MIN)) {
    throw new ConfigError(`${file}: a secret has at least ${SECRET_CHARS_MIN} characters`);
  }
  if (new Set(secrets).size < secrets.length) {
    throw new ConfigError(`${file}: both lines are the same secret: take one of them out`);
  }
  return secrets.map((secret) => Buffer.from(secret));
}

/** On loopback a secret that follows from the cluster's name will do. @throws ConfigError */
function derivedSecret({ clusterFile, log }: SecretFiles, config: ClusterConfig): Uint8Array {
  const outside = config.members.find((member) => !isLoopback(member.url));
  if (outside !== undefined) {
    throw new ConfigError(
      `${clusterFile}: member ${outside.id} is not on loopback (${outside.url}), ` +
        "so the cluster needs a secret: give --secret-file",
    );
  }
  log("derived-secret", { reason: "no --secret-file; every member is on loopback" });
  return Buffer.from(`starling loopback cluster ${config.name}`);
}

/** A folder of an earlier run has them, or a document that says them; a new one has neither. */
function keptIn(store: Store): Uint8Array | undefined {
  const kept = store.readMeta(KEPT)?.slice();
  if (kept !== undefined) return kept;
  const document = storedDocument(store);
  if (document === null || document.ring.isProvisional === true) return undefined;
  return dataKeyBytesIn(document) ?? undefined;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

export class ClusterSecret {
  readonly #files: SecretFiles;
  readonly #cluster: string;
  /** From --data-secret-file. */
  readonly #founding: Uint8Array | null;
  #secrets: readonly Uint8Array[];
  #keys: readonly ClusterKeys[];
  #data: { readonly bytes: Uint8Array; readonly keys: DataKeys } | null = null;

  private constructor(
    files: SecretFiles,
    cluster: string,
    of: { readonly secrets: readonly Uint8Array[]; readonly founding: Uint8Array | null },
  ) {
    this.#files = files;
    this.#cluster = cluster;
    this.#founding = of.founding;
    this.#secrets = of.secrets;
    this.#keys = this.#keysOf(of.secrets);
  }

  /** @throws ConfigError with one line */
  static async read(files: SecretFiles, config: ClusterConfig): Promise<ClusterSecret> {
    const { secretFile, dataSecretFile } = files;
    const secrets =
      secretFile === undefined
        ? [derivedSecret(files, config)]
        : await readSecrets(secretFile, SECRETS_COUNT_MAX);
    const [founding = null] =
      dataSecretFile === undefined ? [] : await readSecrets(dataSecretFile, 1);
    return new ClusterSecret(files, config.name, { secrets, founding });
  }

  /** The keys by which nodes prove themselves to each other, one for each valid secret. */
  readonly transportKeys = (): readonly Uint8Array[] =>
    this.#keys.map(({ transport }) => transport);

  /** Whether neither the folder nor the command line gives the data keys: the members may. */
  isToBeTold(store: Store): boolean {
    return this.#founding === null && keptIn(store) === undefined;
  }

  /**
   * The keys for what a folder holds: those that it keeps, or those of the secret that the cluster
   * began with, or those that its members tell. What clients carry is sealed by the secrets that
   * are valid.
   *
   * @param told what other members say, where `isToBeTold`; null when none of them does
   * @throws ConfigError when nobody knows which they are, or the folder says others
   */
  dataKeys(store: Store, told: Uint8Array | null): DataKeys {
    const { secretFile, dataSecretFile, dataDir } = this.#files;
    const kept = keptIn(store);
    const named = this.#founding === null ? null : dataKeyBytes(this.#founding);
    if (kept !== undefined && named !== null && !sameBytes(kept, named)) {
      const mend = "give the one it began with, or leave --data-secret-file out";
      throw new ConfigError(`${dataSecretFile}: ${dataDir} began with another secret: ${mend}`);
    }
    const [only, other] = this.#secrets;
    const single = only === undefined || other !== undefined ? null : dataKeyBytes(only);
    const bytes = kept?.length === DATA_KEYS_BYTES ? kept : (named ?? told ?? single);
    if (bytes === null) {
      const mend = "start it while others run, or give that one's file as --data-secret-file";
      const lack = `neither ${dataDir} nor another member says which the cluster began with`;
      throw new ConfigError(`${secretFile}: it has two secrets, and ${lack}: ${mend}`);
    }
    const keys = dataKeysFrom(bytes, this.#cluster);
    this.#data = { bytes, keys };
    this.#seal();
    return keys;
  }

  /**
   * Has the folder keep the data keys. But only once they are known to be the cluster's: a node
   * that was started with a wrong secret must not hold on to that.
   */
  keep(store: Store, ring: RingDocument): void {
    if (ring.isProvisional === true) return;
    if (this.#data === null || store.readMeta(KEPT) !== undefined) return;
    if (store.health() === "writable") store.writeMeta(KEPT, this.#data.bytes);
  }

  /** Whether there is something to read again. */
  get isFromFile(): boolean {
    return this.#files.secretFile !== undefined;
  }

  /**
   * Reads the file again. @returns how many secrets are valid
   *
   * @throws ConfigError when it makes no sense; the old ones then go on
   */
  async reload(): Promise<{ readonly count: number }> {
    const { secretFile } = this.#files;
    assert(secretFile !== undefined, "there is a file to read again");
    this.#secrets = await readSecrets(secretFile, SECRETS_COUNT_MAX);
    this.#keys = this.#keysOf(this.#secrets);
    this.#seal();
    return { count: this.#secrets.length };
  }

  #keysOf(secrets: readonly Uint8Array[]): readonly ClusterKeys[] {
    return secrets.map((secret) => clusterKeys(secret, this.#cluster));
  }

  #seal(): void {
    this.#data?.keys.hash.sealBy(this.#keys.map(({ hash }) => hash));
  }
}
