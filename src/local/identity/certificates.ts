/**
 * The certificate files of a node, checked before anything trusts them: a node whose certificate
 * its peers will refuse should say so when it starts, in one line, and not in each peer's log.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { ConfigError, readText } from "../process/config-error.ts";

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** The authority that signs the members' certificates; absent: those that come with Node. */
  readonly caFile: string | undefined;
}

/** All in PEM. */
export interface Certificates {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  /** When the node's own certificate ends, in ms since 1970. */
  readonly endsAt: number;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
/** Extended key usages of RFC 5280, 4.2.1.12: a node is both ends of its connections. */
const USAGES = [
  ["1.3.6.1.5.5.7.3.1", "serverAuth"],
  ["1.3.6.1.5.5.7.3.2", "clientAuth"],
] as const;

/** @throws ConfigError when there is none, or one that does not parse */
function parseAll(pem: string, file: string): readonly [X509Certificate, ...X509Certificate[]] {
  try {
    const [first, ...more] = (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
    if (first !== undefined) return [first, ...more];
  } catch {
    // The library's reason is a code of OpenSSL's; the mend is the same.
  }
  throw new ConfigError(`${file}: it holds no certificate: give one in PEM`);
}

function checkTime({ validFromDate, validToDate }: X509Certificate, file: string, now: number) {
  const day = (date: Date): string => date.toISOString();
  if (now > validToDate.getTime()) {
    throw new ConfigError(`${file}: the certificate expired at ${day(validToDate)}: renew it`);
  }
  if (now < validFromDate.getTime()) {
    const from = day(validFromDate);
    throw new ConfigError(`${file}: the certificate begins at ${from}: check this machine's clock`);
  }
}

function checkKey(certificate: X509Certificate, pem: string, files: TlsFiles): void {
  const { keyFile, certFile } = files;
  let isItsKey: boolean;
  try {
    isItsKey = certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    throw new ConfigError(`${keyFile}: it holds no private key without a passphrase in PEM`);
  }
  if (isItsKey) return;
  throw new ConfigError(`${keyFile}: it is not the key of the certificate in ${certFile}`);
}

const isFor = (certificate: X509Certificate, host: string): boolean =>
  (isIP(host) === 0
    ? certificate.checkHost(host, { subject: "never" })
    : certificate.checkIP(host)) !== undefined;

/** Whether the given certificates lead from the first to an authority of the CA file. */
function leadsTo(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]) {
  let [at] = chain;
  for (let steps = 0; at !== undefined && steps <= chain.length; steps++) {
    const child = at;
    const signs = (other: X509Certificate): boolean =>
      child.checkIssued(other) && child.verify(other.publicKey);
    if (authorities.some(signs)) return true;
    at = chain.find((other) => other !== child && signs(other));
  }
  return false;
}

/**
 * Reads and checks a node's certificate files.
 *
 * @param host the member's host by its url, without brackets; null where it is not known yet
 * @param now in ms since 1970
 * @throws ConfigError with one line that names the file and the mend
 */
export async function readCertificates(
  files: TlsFiles,
  host: string | null,
  now: number,
): Promise<Certificates> {
  const { certFile, keyFile, caFile } = files;
  const cert = await readText(certFile, "certificate file");
  const key = await readText(keyFile, "key file");
  const chain = parseAll(cert, certFile);
  const [own] = chain;
  checkKey(own, key, files);
  checkTime(own, certFile, now);
  if (host !== null && !isFor(own, host)) {
    const names = own.subjectAltName ?? "nobody";
    throw new ConfigError(
      `${certFile}: the certificate is for ${names}, not for this member's host ${host}: ` +
        "name the host in its subjectAltName",
    );
  }
  // The types leave out that a certificate may come without the extension.
  const usages = own.keyUsage as readonly string[] | undefined;
  const missing = USAGES.find(([oid]) => usages !== undefined && !usages.includes(oid));
  if (missing !== undefined) {
    const mend = `extendedKeyUsage must name ${missing[1]} too`;
    throw new ConfigError(`${certFile}: a node is server and client of its peers: ${mend}`);
  }
  if (caFile === undefined) return { cert, key, ca: undefined, endsAt: own.validToDate.getTime() };
  const ca = await readText(caFile, "CA file");
  const authorities = parseAll(ca, caFile);
  for (const authority of authorities) checkTime(authority, caFile, now);
  if (leadsTo(chain, authorities)) return { cert, key, ca, endsAt: own.validToDate.getTime() };
  throw new ConfigError(`${caFile}: no authority in it has signed the certificate in ${certFile}`);
}
