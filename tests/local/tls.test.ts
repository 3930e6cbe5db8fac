import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type RequestOptions, request } from "node:https";
import { connect as connectPlain } from "node:net";
import { join } from "node:path";
import { connect, TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ownSpeech } from "../../core/version.ts";
import type { TlsFiles } from "../../src/local/identity/certificates.ts";
import { helloHeaders, newNonce } from "../../src/local/identity/handshake.ts";
import { clusterKeys } from "../../src/local/identity/secrets.ts";
import { NodeTls } from "../../src/local/identity/tls.ts";
import { ConfigError } from "../../src/local/process/config-error.ts";
import { type RunningNode, startNode } from "../../src/local/serve.ts";
import { type Authority, TestCertificates } from "../support/certificates.ts";
import { freePorts } from "../support/cluster.ts";

const SECRET = "a secret that only the nodes know";
const made = new TestCertificates();
let ca: Authority;
let other: Authority;
beforeAll(async () => {
  ca = await made.authority("own");
  other = await made.authority("other");
});
afterAll(() => made.close());

interface Answer {
  readonly status: number;
  readonly body: string;
}

function call(url: string, options: RequestOptions = {}, body = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const agent = { agent: false, ca: readFileSync(ca.caFile) };
    const sent = request(url, { ...agent, ...options }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

interface Trio {
  readonly urls: readonly string[];
  readonly logged: string[];
  readonly nodes: readonly RunningNode[];
}

/** Three nodes, each with the files that it is given. */
async function startTrio(name: string, files: readonly TlsFiles[]): Promise<Trio> {
  const ports = await freePorts(3);
  const urls = ports.map((port) => `https://127.0.0.1:${port}`);
  const members = urls.map((url, i) => ({ id: `r${i + 1}`, zone: `z${i}`, url }));
  const dir = join(made.dir, name);
  mkdirSync(dir);
  const clusterFile = join(dir, "cluster.json");
  writeFileSync(clusterFile, JSON.stringify({ name, partitions: 64, n: 3, members }));
  const secretFile = made.file(`${name}-secret`, SECRET);
  const logged: string[] = [];
  const nodes: RunningNode[] = [];
  for (const [i, tls] of files.entries()) {
    const id = `r${i + 1}`;
    const log = (event: string, fields: object = {}): void =>
      void logged.push(`${id} ${event} ${JSON.stringify(fields)}`);
    nodes.push(await startNode({ clusterFile, id, dataDir: join(dir, id), secretFile, tls, log }));
  }
  return { urls, logged, nodes };
}

describe("a cluster of three with certificates of one CA", () => {
  let trio: Trio;
  let files: TlsFiles[];
  beforeAll(async () => {
    files = await Promise.all(["r1", "r2", "r3"].map((name) => ca.issue(name)));
    trio = await startTrio("trio", files);
  });
  afterAll(async () => void (await Promise.all(trio.nodes.map((node) => node.close()))));

  it("writes to all three through one, and reads through another", async () => {
    const [first, , third] = trio.urls as [string, string, string];
    await expect
      .poll(async () => {
        const { status } = await call(
          `${first}/v1/kv/a/k?w=3&sloppy=false`,
          { method: "PUT" },
          "v",
        );
        return status < 300;
      })
      .toBe(true);
    expect(await call(`${third}/v1/kv/a/k?r=3&sloppy=false`)).toEqual({ status: 200, body: "v" });
    expect(trio.logged.join("\n")).not.toContain(SECRET);
  });

  it("is no server to a client without the CA, nor to one that speaks plain http", async () => {
    const url = `${trio.urls[0]}/healthz`;
    await expect(call(url, { ca: readFileSync(other.caFile) })).rejects.toThrow(/verif|signed/);
    const socket = connectPlain(Number(new URL(url).port), "127.0.0.1");
    let heard = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      heard += text;
    });
    socket.write("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    await once(socket, "close");
    expect(heard).not.toContain("HTTP/");
    expect((await call(url)).status).toBe(200);
  });

  /** What the first node answers to a caller that claims, with the secret, to be r2. */
  async function helloWith(shown: { cert?: Buffer; key?: Buffer }): Promise<string> {
    const { transport } = clusterKeys(Buffer.from(SECRET), "c");
    const headers = helloHeaders(
      [transport],
      { cluster: "trio", from: "r2", to: "r1" },
      { nonce: newNonce(), speech: ownSpeech },
    );
    const url = new URL(trio.urls[0] as string);
    const options = { host: url.hostname, port: Number(url.port), ca: readFileSync(ca.caFile) };
    const socket: TLSSocket = connect({ ...options, ...shown });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(`${["GET /internal HTTP/1.1", "Host: 127.0.0.1", ...lines].join("\r\n")}\r\n\r\n`);
    const [bytes] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return bytes.toString("latin1").slice(0, 12);
  }

  const shownOf = ({ certFile, keyFile }: TlsFiles): { cert: Buffer; key: Buffer } => ({
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
  });

  it("takes a peer by its secret and its certificate, not by one of them", async () => {
    expect(await helloWith(shownOf(files[1] as TlsFiles))).toBe("HTTP/1.1 101");
    expect(await helloWith({})).toBe("HTTP/1.1 404");
    expect(await helloWith(shownOf(await other.issue("thief")))).toBe("HTTP/1.1 404");
    const elsewhere = await ca.issue("elsewhere", { ip: "10.9.8.7" });
    expect(await helloWith(shownOf(elsewhere))).toBe("HTTP/1.1 404");
    const server = await ca.issue("server", { isClient: false });
    expect(await helloWith(shownOf(server))).toBe("HTTP/1.1 404");
  });

  it("shows a new certificate after a reload, and keeps the old one where that is none", async () => {
    const [node] = trio.nodes as [RunningNode];
    const mine = files[0] as TlsFiles;
    const serial = async (): Promise<string> => {
      const { port } = new URL(trio.urls[0] as string);
      const socket = connect({ host: "127.0.0.1", port: Number(port), rejectUnauthorized: false });
      await once(socket, "secureConnect");
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await serial();
    const renewed = await ca.issue("renewed");
    copyFileSync(renewed.certFile, mine.certFile);
    await node.reload();
    expect(await serial()).toBe(before);
    expect(trio.logged.at(-1)).toContain("it is not the key of the certificate");
    copyFileSync(renewed.keyFile, mine.keyFile);
    await node.reload();
    expect(await serial()).not.toBe(before);
    expect((await call(`${trio.urls[0]}/v1/kv/a/k?r=3`, { method: "PUT" }, "w")).status).toBe(204);
  });
});

describe("what a ring document says of a peer", () => {
  it("throws nothing, whatever the url", async () => {
    const files = await ca.issue("r1");
    const tls = await NodeTls.read(files, "https://127.0.0.1:7101");
    const shown = { subject: { CN: "x" }, subjectaltname: "IP Address:127.0.0.1" };
    const socket = Object.assign(Object.create(TLSSocket.prototype) as TLSSocket, {
      authorized: true,
      getPeerCertificate: () => shown,
    });
    expect(tls.isPeer(socket, "https://127.0.0.1:7102")).toBe(true);
    for (const url of ["", "https://", "https://[::1", "https://256.1.1.1", "no url", "x:"]) {
      expect(tls.isPeer(socket, url)).toBe(false);
    }
    shown.subjectaltname = `DNS:"unclosed`;
    expect(tls.isPeer(socket, "https://127.0.0.1:7102")).toBe(false);
  });
});

describe("nodes of which one has a certificate of another CA", () => {
  it("go on as two, and the stranger alone serves nobody's quorum", async () => {
    const files = [await ca.issue("s1"), await ca.issue("s2"), await other.issue("s3")];
    const trio = await startTrio("strangers", files);
    try {
      const [first, , third] = trio.urls as [string, string, string];
      const put = (url: string, trust: Authority): Promise<Answer> => {
        const trusting = { method: "PUT", ca: readFileSync(trust.caFile) };
        return call(`${url}/v1/kv/a/k?w=2&timeout=1000`, trusting, "v");
      };
      await expect.poll(async () => (await put(first, ca)).status < 300).toBe(true);
      expect([503, 504]).toContain((await put(third, other)).status);
      expect(trio.logged.join("\n")).toMatch(/r3 peer-unreachable .*SELF_SIGNED_CERT_IN_CHAIN/);
    } finally {
      await Promise.all(trio.nodes.map((node) => node.close()));
    }
  });
});

describe("a start with files that cannot serve", () => {
  async function refusal(tls: TlsFiles | undefined, url = "https://127.0.0.1:1"): Promise<string> {
    const members = [{ id: "r1", zone: "a", url }];
    const clusterFile = made.file("bad.json", JSON.stringify({ name: "t", n: 1, members }));
    const node = { clusterFile, id: "r1", dataDir: join(made.dir, "never"), tls, log: () => {} };
    const error: unknown = await startNode(node).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    const { message } = error as ConfigError;
    expect(message.split("\n")).toHaveLength(1);
    return message;
  }
  const day = (offset: number): Date => new Date(Date.now() + offset * 86_400_000);

  it("names the file and the mend", async () => {
    const good = await ca.issue("good");
    const foreign = await other.issue("foreign");
    const none = join(made.dir, "none.pem");
    const empty = made.file("empty.pem", "");
    const cases: [TlsFiles, RegExp][] = [
      [{ ...good, certFile: none }, /none\.pem: the certificate file cannot be read \(ENOENT\)/],
      [{ ...good, certFile: empty }, /empty\.pem: it holds no certificate: give one in PEM/],
      [{ ...good, keyFile: empty }, /empty\.pem: it holds no private key/],
      [{ ...good, keyFile: foreign.keyFile }, /foreign\.key: it is not the key of .*good\.pem/],
      [{ ...good, caFile: other.caFile }, /other-ca\.pem: no authority in it has signed .*good/],
      [{ ...good, caFile: empty }, /empty\.pem: it holds no certificate/],
      [await ca.issue("old", { from: day(-3), to: day(-1) }), /old\.pem: .*expired at .*: renew/],
      [await ca.issue("young", { from: day(1), to: day(2) }), /young\.pem: .*begins at .*clock/],
      [await ca.issue("far", { ip: "10.9.8.7" }), /far\.pem: .*10\.9\.8\.7, not .*127\.0\.0\.1/],
      [await ca.issue("half", { isClient: false }), /half\.pem: .*must name clientAuth too/],
    ];
    for (const [files, pattern] of cases) expect(await refusal(files)).toMatch(pattern);
  });

  it("says which flags and which urls go together", async () => {
    expect(await refusal(undefined)).toMatch(/bad\.json: member r1 .*--tls-cert/);
    expect(await refusal(await ca.issue("fine"), "http://127.0.0.1:1")).toMatch(/https:\/\//);
  });
});
