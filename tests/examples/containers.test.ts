/**
 * The container, compose.yaml and the Kubernetes manifest where there is no engine to run them: their
 * grammar and schemas, and the very commands that they give, as processes with the paths and the
 * addresses of this machine.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DockerfileParser } from "dockerfile-ast";
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Service } from "kubernetes-models/v1/Service";
import { afterEach, describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { parseClusterConfig } from "../../ring/cluster-config.ts";
import { freePorts } from "../support/cluster.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(ROOT, "bin/starling.js");
const text = (name: string): string => readFileSync(join(ROOT, name), "utf8");
const run = promisify(execFile);

const dir = mkdtempSync(join(tmpdir(), "starling-containers-"));
const children: ChildProcess[] = [];
afterEach(async () => {
  const ended = children.map((child) => new Promise((resolve) => child.once("close", resolve)));
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(ended);
  children.length = 0;
  rmSync(dir, { recursive: true, force: true });
});

interface Member {
  readonly id: string;
  readonly zone: string;
  readonly url: string;
}

interface Commands {
  readonly config: { readonly members: readonly Member[] };
  /** By member: the arguments of its container. */
  readonly args: ReadonlyMap<string, readonly string[]>;
  /** Of a container's paths, what stands there. */
  readonly files: Readonly<Record<"cluster" | "secret" | "tokens" | "data", string>>;
}

const TOKEN = "a-token-for-this-test-alone";

/** Runs every container's command with this machine's paths and addresses; their new URLs. */
async function runCommands({ config, args, files }: Commands): Promise<readonly string[]> {
  const ports = await freePorts(config.members.length);
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const members = config.members.map((member, i) => ({ ...member, url: urls[i] }));
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "cluster.json"), JSON.stringify({ ...config, members }));
  writeFileSync(join(dir, "secret"), "ZXZlcnkgdGVzdCBpdHMgb3duIHNlY3JldA==\n");
  const tokens = [{ token: TOKEN, role: "admin" }];
  writeFileSync(join(dir, "tokens.json"), JSON.stringify({ tokens }));
  for (const [id, given] of args) {
    const here = new Map([
      [files.cluster, join(dir, "cluster.json")],
      [files.secret, join(dir, "secret")],
      [files.tokens, join(dir, "tokens.json")],
      [files.data, join(dir, id)],
    ]);
    const own = given.map((arg) => {
      const [flag, path = ""] = arg.split("=");
      return here.has(path) ? `${flag}=${here.get(path)}` : arg;
    });
    children.push(spawn(process.execPath, [BIN, ...own], { stdio: "ignore" }));
  }
  return urls;
}

const statusOf = (url: string): Promise<number> =>
  fetch(url).then(
    ({ status }) => status,
    () => 0,
  );

async function expectCluster(urls: readonly string[], probes: readonly string[]): Promise<void> {
  for (const url of urls) {
    for (const probe of probes) {
      await expect.poll(() => statusOf(url + probe), { timeout: 20_000 }).toBe(200);
    }
  }
  const key = "/v1/kv/demo/hello";
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const put = await fetch(`${urls[0]}${key}?w=all`, { method: "PUT", body: "hi", headers });
  expect(put.status).toBe(201);
  expect(await (await fetch(`${urls[2]}${key}`, { headers })).text()).toBe("hi");
  expect((await fetch(`${urls[1]}${key}`)).status).toBe(401);
}

describe("the Dockerfile", () => {
  const file = DockerfileParser.parse(text("Dockerfile"));
  const last = file.getFROMs().at(-1)?.getRange().start.line ?? 0;
  const inLast = file.getInstructions().filter((one) => one.getRange().start.line > last);
  const argumentsOf = (keyword: string): string | null | undefined =>
    inLast.find((one) => one.getKeyword() === keyword)?.getArgumentsContent();

  it("has named stages from tagged images, and copies from those alone", () => {
    const stages = file.getFROMs().map((from) => from.getBuildStage());
    expect(file.getFROMs().every((from) => from.getImageTag() !== null)).toBe(true);
    for (const copy of file.getCOPYs()) {
      const from = copy.getFromFlag()?.getValue();
      if (from !== undefined && from !== null) expect(stages).toContain(from);
      else
        for (const path of copy.getArguments().slice(0, -1)) {
          expect(existsSync(join(ROOT, path.getValue()))).toBe(true);
        }
    }
  });

  it("runs the package's command under a numbered user that is not root", () => {
    expect(argumentsOf("USER")).toMatch(/^[1-9][0-9]+:[1-9][0-9]+$/);
    const entry = JSON.parse(argumentsOf("ENTRYPOINT") ?? "[]");
    expect(entry).toEqual(["node", expect.stringMatching(/\/starling-cache\/bin\/starling\.js$/)]);
    expect(argumentsOf("VOLUME")).toBe("/data");
  });

  it("sends no secrets, no data and no builds of this machine to the engine", () => {
    const ignored = text(".dockerignore").split("\n");
    for (const name of ["node_modules", ".git", "dist", ".starling", "secrets", ".dev.vars"]) {
      expect(ignored).toContain(name);
    }
  });
});

interface ComposeService {
  readonly hostname: string;
  readonly command: readonly string[];
  readonly volumes: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
}

describe("compose.yaml", () => {
  const compose = parse(text("compose.yaml"), { merge: true }) as {
    readonly services: Readonly<Record<string, ComposeService>>;
    readonly volumes: Readonly<Record<string, null>>;
    readonly configs: { readonly cluster: { readonly content: string } };
  };
  const config = JSON.parse(compose.configs.cluster.content);
  const services = Object.entries(compose.services);

  it("has a service for each member, under its host name, with a volume of its own", () => {
    const { members } = parseClusterConfig(config);
    const addresses = services.map(([, { hostname }]) => `http://${hostname}:7100`);
    expect(members.map(({ url }) => url)).toEqual(addresses);
    for (const [id, { command, volumes }] of services) {
      expect(command).toContain(`--id=${id}`);
      expect(volumes).toEqual([`${id}:/data`]);
      expect(Object.keys(compose.volumes)).toContain(id);
    }
  });

  it("starts a cluster with its very commands, and asks what answers", async () => {
    const urls = await runCommands({
      config,
      args: new Map(services.map(([id, { command }]) => [id, command])),
      files: {
        cluster: "/cluster",
        secret: "/run/secrets/cluster-secret",
        tokens: "/run/secrets/tokens",
        data: "/data",
      },
    });
    await expectCluster(urls, ["/readyz"]);
    const [, command = "", ...rest] = services[0]?.[1].healthcheck.test ?? [];
    expect(command).toBe("node");
    const probe = rest.map((arg) =>
      arg.replace('"http://" + os.hostname() + ":7100', `"${urls[0]}`),
    );
    await run(process.execPath, probe);
    await expect(run(process.execPath, rest)).rejects.toThrow();
  });
});

describe("the Kubernetes manifest", () => {
  const name = "examples/kubernetes/starling.yaml";
  const documents = parseAllDocuments(text(name));
  const objects = documents.map((one) => one.toJS());
  const only = <T>(kind: string): T => objects.find((one) => one.kind === kind) as T;
  const set = only<IStatefulSet>("StatefulSet");
  const pod = set.spec?.template.spec;
  const container = pod?.containers[0];

  it("is YAML without a doubt, and valid by the schemas of Kubernetes", () => {
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    const kinds = { ConfigMap, PodDisruptionBudget, Service, StatefulSet };
    for (const one of objects) {
      const Kind = kinds[one.kind as keyof typeof kinds];
      expect(() => new Kind(one).validate()).not.toThrow();
    }
    const broken = { ...set, spec: { ...set.spec, replicas: "3" } } as unknown as IStatefulSet;
    expect(() => new StatefulSet(broken).validate()).toThrow(/integer/);
  });

  it("names no field that Kubernetes does not have", async () => {
    mkdirSync(dir, { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
    const compile = async (kind: string, object: unknown): Promise<string> => {
      const home = { StatefulSet: "apps/v1", PodDisruptionBudget: "policy/v1" }[kind] ?? "v1";
      const source = [
        `import type { I${kind} } from "kubernetes-models/${home}/${kind}";`,
        `export const it = ${JSON.stringify(object)} satisfies I${kind};`,
      ];
      writeFileSync(join(dir, "object.mts"), source.join("\n"));
      const flags = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext"];
      const tsc = join(ROOT, "node_modules/.bin/tsc");
      return run(tsc, [...flags, "object.mts"], { cwd: dir }).then(
        () => "",
        ({ stdout }: { stdout: string }) => stdout,
      );
    };
    for (const one of objects) expect(await compile(one.kind, one)).toBe("");
    const typo = { ...set, spec: { ...set.spec, podManagmentPolicy: "Parallel" } };
    expect(await compile("StatefulSet", typo)).toContain("podManagmentPolicy");
  });

  it("gives each pod the address that the cluster file has for its ordinal", () => {
    const { data } = only<{ data: Record<string, string> }>("ConfigMap");
    const { members } = parseClusterConfig(JSON.parse(data["cluster.json"] ?? ""));
    const start = set.spec?.ordinals?.start ?? 0;
    const domain = `${set.spec?.serviceName}.default.svc.cluster.local:7100`;
    expect(members).toHaveLength(set.spec?.replicas ?? 0);
    for (const [i, { id, url }] of members.entries()) {
      expect([id, url]).toEqual([`r${start + i}`, `http://starling-${start + i}.${domain}`]);
    }
    const label = set.spec?.template.metadata?.labels?.["app"];
    const budget = only<{ spec: { selector: unknown } }>("PodDisruptionBudget");
    expect(budget.spec.selector).toEqual({ matchLabels: { app: label } });
    const user = /^USER ([0-9]+):/m.exec(text("Dockerfile"))?.[1];
    expect(String(pod?.securityContext?.runAsUser)).toBe(user);
  });

  it("listens at the pod's loopback too, where kubectl port-forward comes from", () => {
    expect(container?.args).toContain("--listen=*");
  });

  it("starts a cluster with its very command, and its probes are answered", async () => {
    const { data } = only<{ data: Record<string, string> }>("ConfigMap");
    const config = JSON.parse(data["cluster.json"] ?? "");
    const start = set.spec?.ordinals?.start ?? 0;
    const argsOf = (ordinal: number): readonly string[] =>
      (container?.args ?? []).map((arg) => arg.replace("$(POD_INDEX)", String(ordinal)));
    const members: readonly Member[] = config.members;
    const urls = await runCommands({
      config,
      args: new Map(members.map(({ id }, i) => [id, argsOf(start + i)])),
      files: {
        cluster: "/etc/starling/cluster.json",
        secret: "/run/starling/cluster",
        tokens: "/run/starling/tokens.json",
        data: "/data/log",
      },
    });
    const probes = [container?.startupProbe, container?.livenessProbe, container?.readinessProbe];
    const paths = probes.map((probe) => probe?.httpGet?.path ?? "");
    expect(paths).toEqual(["/healthz", "/healthz", "/readyz?owns"]);
    await expectCluster(urls, paths);
  });
});
