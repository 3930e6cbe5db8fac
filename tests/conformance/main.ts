/**
 * `npm run conformance -- [--suite DIR]… [--stale-if-error SECONDS] [--failed] [--write]`: the public
 * suite of HTTP caches (https://cache-tests.fyi) against a cache door on this machine, with the
 * suite's own origin. Without `--suite` it is a checkout of the suite's repository in this folder
 * (`cache-tests`), and where there is none the older one from npm.
 *
 * `--write` puts the figures into docs/conformance.md. Exit 1 when a suite could not be run.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runSuite, type SuiteRun } from "./run.ts";
import { type Score, scoreOf, tableOf } from "./score.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FROM_NPM = join(ROOT, "node_modules/http-cache-tests");
const CHECKOUT = join(ROOT, "cache-tests");
const PAGE = join(ROOT, "docs/conformance.md");
/** Figures go between these two lines of the page. */
const BEGIN = "<!-- figures: npm run conformance -- --write -->";
const END = "<!-- end of figures -->";

const USAGE = `npm run conformance -- [--suite DIR]… [--stale-if-error SECONDS] [--failed] [--write]
  --suite DIR               a checkout of http-tests/cache-tests (default: the one in
                            ./cache-tests; where there is none, the package from npm)
  --stale-if-error SECONDS  the site's default, for tests of caches that serve what is stale
  --failed                  also list what did not pass, and why
  --write                   put the figures into docs/conformance.md`;

function readArguments() {
  try {
    return parseArgs({
      options: {
        suite: { type: "string", multiple: true },
        "stale-if-error": { type: "string" },
        failed: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    console.error(`conformance: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

const values = readArguments();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

function versionOf(dir: string): string {
  const file = readFileSync(join(dir, "package.json"), "utf8");
  const { version } = JSON.parse(file) as { readonly version: string };
  if (dir === FROM_NPM) return `http-cache-tests ${version} from npm`;
  const head = spawnSync("git", ["-C", dir, "log", "-1", "--format=%h of %cs"], {
    encoding: "utf8",
  });
  const commit = head.status === 0 ? `, commit ${head.stdout.trim()}` : "";
  return `http-tests/cache-tests ${version}${commit}`;
}

function summary({ required, optimal, check }: Score["totals"]): string {
  const part = ({ passed, of }: { passed: number; of: number }): string => `${passed} of ${of}`;
  return `required ${part(required)}, optimal ${part(optimal)}, checks ${part(check)}`;
}

const site =
  values["stale-if-error"] === undefined ? {} : { staleIfError: Number(values["stale-if-error"]) };
const sections: string[] = [];
const hasSuite = (dir: string): boolean => existsSync(join(dir, "tests/index.mjs"));
const usual = hasSuite(CHECKOUT) ? CHECKOUT : FROM_NPM;
for (const dir of values.suite?.map((path) => resolve(path)) ?? [usual]) {
  if (!hasSuite(dir)) {
    console.error(`conformance: ${dir}: no suite is there; see docs/conformance.md`);
    process.exit(1);
  }
  const run: SuiteRun = await runSuite(dir, site);
  const score = scoreOf(run);
  console.log(`${versionOf(dir)}: ${summary(score.totals)}`);
  console.log(tableOf(score));
  if (values.failed) {
    for (const { id, kind, why } of score.failed) console.log(`${kind.padEnd(8)} ${id}: ${why}`);
  }
  const lost = score.failed.filter(({ kind }) => kind !== "check");
  sections.push(
    [
      `### ${versionOf(dir)}`,
      `${summary(score.totals)}.`,
      tableOf(score),
      `Not passed: ${lost.map(({ id, why }) => `\`${id}\` (${why})`).join(", ") || "none"}.`,
    ].join("\n\n"),
  );
}
if (values.write) {
  const page = readFileSync(PAGE, "utf8");
  const [before = "", rest = ""] = page.split(BEGIN);
  const [, after = ""] = rest.split(END);
  const measured = `Measured on ${new Date().toISOString().slice(0, 10)}.`;
  const figures = [BEGIN, measured, ...sections, END].join("\n\n");
  writeFileSync(PAGE, `${before}${figures}${after}`);
}
process.exit(0);
