/**
 * examples/self-hosted, tried: its certificates, its cluster file and the very command line of its
 * unit, on three addresses of this machine that Starling does not take for loopback.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePorts } from "../support/cluster.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const example = (name: string): string => join(root, "examples/self-hosted", name);
const HOSTS = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
const TOKEN = "the-token-of-the-operator";
const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
const certs = join(dir, "certs");
let port = 0;

/** What the unit runs, with its folders elsewhere. */
function commandOf(id: string): readonly string[] {
  const unit = readFileSync(example("starling.service"), "utf8").replaceAll("\\\n", " ");
  const line = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? "";
  const [, , ...args] = line.trim().split(/ +/);
  return args.map((arg) =>
    arg
      .replace(/\$\{STARLING_ID\}/, id)
      .replace("/etc/starling", join(dir, id))
      .replace("/var/lib/starling", join(dir, id, "state")),
  );
}

class Machine {
  readonly id: string;
  readonly host: string;
  #child: ChildProcess | null = null;
  said = "";

  constructor(id: string, host: string) {
    this.id = id;
    this.host = host;
  }

  get url(): string {
    return `https://${this.host}:${port}`;
  }

  installCertificate(): void {
    for (const kind of ["pem", "key"]) {
      copyFileSync(join(certs, `${this.host}.${kind}`), join(dir, this.id, `node.${kind}`));
    }
  }

  /** Resolves when it listens. */
  start(): Promise<void> {
    const args = [join(root, "bin/starling.js"), ...commandOf(this.id)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    this.said = "";
    return new Promise((resolve, reject) => {
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        this.said += text;
        if (this.said.includes('"listening"')) resolve();
      });
      child.once("exit", () => reject(new Error(`${this.id} ended: ${this.said}`)));
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async end(): Promise<void> {
    if (this.#child === null || this.#child.exitCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

const machines = HOSTS.map((host, i) => new Machine(`r${i + 1}`, host));
const [first, second, third] = machines as [Machine, Machine, Machine];

function call(url: string, method = "GET", body = "", token = TOKEN): Promise<[number, string]> {
  const headers = token === "" ? {} : { Authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const options = { method, headers, agent: false, ca: readFileSync(join(certs, "ca.pem")) };
    const sent = request(url, options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (more: string) => (text += more));
      answer.on("end", () => resolve([answer.statusCode ?? 0, text]));
    });
    sent.on("error", reject).end(body);
  });
}

async function serialOf({ host }: Machine): Promise<string> {
  const socket: TLSSocket = connect({ host, port, ca: readFileSync(join(certs, "ca.pem")) });
  await once(socket, "secureConnect");
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

// Elsewhere only one address of the loopback network is there.
describe.skipIf(process.platform !== "linux")("the self-hosted example", () => {
  beforeAll(async () => {
    [port = 0] = await freePorts(1);
    execFileSync(example("certificates.sh"), [certs, ...HOSTS]);
    const cluster = JSON.parse(readFileSync(example("cluster.json"), "utf8")) as {
      members: { id: string; url: string }[];
    };
    for (const [i, member] of cluster.members.entries()) {
      member.url = machines[i]?.url ?? "";
      execFileSync("mkdir", [join(dir, member.id)]);
    }
    for (const machine of machines) {
      const etc = join(dir, machine.id);
      writeFileSync(join(etc, "cluster.json"), JSON.stringify(cluster));
      writeFileSync(join(etc, "secret"), "a secret of at least sixteen characters\n");
      writeFileSync(
        join(etc, "tokens.json"),
        JSON.stringify({ tokens: [{ token: TOKEN, role: "admin" }] }),
      );
      copyFileSync(join(certs, "ca.pem"), join(etc, "ca.pem"));
      machine.installCertificate();
    }
    await Promise.all(machines.map((machine) => machine.start()));
  }, 60_000);
  afterAll(async () => {
    await Promise.all(machines.map((machine) => machine.end()));
    rmSync(dir, { recursive: true, force: true });
  });

  it("serves one cluster from three hosts, to whoever has a token", async () => {
    const key = "/v1/kv/demo/hello";
    await expect
      .poll(async () => (await call(`${first.url}${key}?w=3&sloppy=false`, "PUT", "hi"))[0])
      .toBeLessThan(300);
    expect(await call(`${third.url}${key}?r=3&sloppy=false`)).toEqual([200, "hi"]);
    expect((await call(`${third.url}${key}`, "GET", "", ""))[0]).toBe(401);
  });

  it("may ask for the addresses of its machine, in its unit", () => {
    const unit = readFileSync(example("starling.service"), "utf8");
    // Node's os.networkInterfaces throws where a netlink socket is refused.
    expect(unit).toMatch(/^RestrictAddressFamilies=.*\bAF_NETLINK\b/m);
  });

  it("takes renewed certificates without a restart, and peers go on with them", async () => {
    const before = await serialOf(first);
    execFileSync(example("certificates.sh"), [certs, first.host]);
    first.installCertificate();
    first.signal("SIGHUP");
    await expect.poll(() => first.said).toContain('"certificates-reloaded"');
    expect(await serialOf(first)).not.toBe(before);
    // A peer that starts anew speaks with the new one.
    second.signal("SIGKILL");
    await second.end();
    await second.start();
    await expect
      .poll(async () => (await call(`${second.url}/v1/kv/demo/2?w=3&sloppy=false`, "PUT", "v"))[0])
      .toBeLessThan(300);
  });
});
