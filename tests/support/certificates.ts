/** Certificate authorities and certificates of theirs, made for one test in a folder that goes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import type { TlsFiles } from "../../src/local/identity/certificates.ts";

export interface Authority {
  readonly caFile: string;
  /** A certificate for the hosts, and the files that a node takes. */
  issue(name: string, options?: IssueOptions): Promise<TlsFiles & { readonly caFile: string }>;
}

export interface IssueOptions {
  /** Default 127.0.0.1. */
  readonly ip?: string;
  readonly from?: Date;
  readonly to?: Date;
  readonly isClient?: boolean;
}

const ec = { keyType: "ec", algorithm: "sha256" } as const;
const DAY_MS = 86_400_000;

export class TestCertificates {
  readonly dir = mkdtempSync(join(tmpdir(), "starling-test-"));

  file(name: string, text: string): string {
    const path = join(this.dir, name);
    writeFileSync(path, text);
    return path;
  }

  async authority(name: string): Promise<Authority> {
    const ca = await generate([{ name: "commonName", value: `${name} CA` }], {
      ...ec,
      extensions: [
        { name: "basicConstraints", cA: true, critical: true },
        { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
      ],
    });
    const caFile = this.file(`${name}-ca.pem`, ca.cert);
    return {
      caFile,
      issue: async (host, { ip = "127.0.0.1", from, to, isClient = true } = {}) => {
        const made = await generate([{ name: "commonName", value: host }], {
          ...ec,
          ca: { key: ca.private, cert: ca.cert },
          notBeforeDate: from ?? new Date(Date.now() - DAY_MS),
          notAfterDate: to ?? new Date(Date.now() + DAY_MS),
          extensions: [
            { name: "basicConstraints", cA: false },
            { name: "extKeyUsage", serverAuth: true, ...(isClient ? { clientAuth: true } : {}) },
            { name: "subjectAltName", altNames: [{ type: 7, ip }] },
          ],
        });
        const certFile = this.file(`${name}-${host}.pem`, made.cert);
        return { certFile, keyFile: this.file(`${name}-${host}.key`, made.private), caFile };
      },
    };
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
