/** `starling COMMAND`: what each exit status means is in `EXIT` (output.ts). */
import { Command, CommanderError } from "commander";
import { PROGRAM_VERSION } from "../../core/version.ts";
import { addBackup } from "./backup.ts";
import { addClusterCommands } from "./cluster-commands.ts";
import { addCompletion } from "./completion.ts";
import { addCopy } from "./copy.ts";
import { addDataCommands } from "./data-commands.ts";
import { endWithParent } from "./end-with-parent.ts";
import { addExport } from "./export.ts";
import { addFaultCommand } from "./fault-command.ts";
import { type Endpoint, trust, urlsOf } from "./http.ts";
import { addImport } from "./import.ts";
import { addListingCommands } from "./listing-commands.ts";
import { CliError, EXIT, outliveReaders, UsageError, warn } from "./output.ts";
import { addProcessCommands } from "./processes.ts";
import { addRestore } from "./restore.ts";
import { addScrub } from "./scrub.ts";
import { addSiteCommands } from "./site-commands.ts";
import { addWatch } from "./watch.ts";

const URL_DEFAULT = "http://127.0.0.1:8787";
/** These run here and ask no frontend. */
const LOCAL: ReadonlySet<string> = new Set(["dev", "node", "cluster", "check", "completion"]);
const STATUSES = `
Exit status: 0 done, ${EXIT.failed} it failed, ${EXIT.usage} wrong usage,
${EXIT.nothing} nothing is stored under that key, ${EXIT.nobody} nobody answered.`;

/** Makes commander report wrong use in one line, like every failure. */
function explain(command: Command, help: string): void {
  command.configureOutput({
    outputError: (text) => {
      const line = text
        .trim()
        .replace(/^error: /, "")
        .replace(/\.$/, "")
        .replaceAll("\n", " ");
      warn(`starling: ${line}; ${help} says more`);
    },
  });
}

function makeProgram(): Command {
  const program = new Command("starling")
    .description("A leaderless, Dynamo-style edge cache.")
    .version(PROGRAM_VERSION, "-V, --version")
    .addHelpText("after", STATUSES)
    .exitOverride();
  explain(program, "starling --help");
  const env = process.env;
  // An empty variable says nothing.
  const chosen = {
    url: env["STARLING_URL"] || URL_DEFAULT,
    token: env["STARLING_TOKEN"] || undefined,
  };
  const endpoint = (): Endpoint => ({ urls: urlsOf(chosen.url), token: chosen.token });
  addProcessCommands(program);
  addDataCommands(program, endpoint);
  addListingCommands(program, endpoint);
  addWatch(program, endpoint);
  addCopy(program, endpoint);
  addImport(program, endpoint);
  addExport(program, endpoint);
  addBackup(program, endpoint);
  addRestore(program, endpoint);
  addClusterCommands(program, endpoint);
  addSiteCommands(program, endpoint);
  addScrub(program, endpoint);
  addFaultCommand(program, endpoint);
  addCompletion(program);
  for (const command of program.commands) {
    explain(command.exitOverride(), `starling ${command.name()} --help`);
    if (LOCAL.has(command.name())) continue;
    command
      .option("--url <urls>", `frontends, with commas (STARLING_URL, default ${URL_DEFAULT})`)
      .option("--token <token>", "a bearer token (STARLING_TOKEN)")
      .option("--ca <file>", "a further authority to trust for https, PEM (STARLING_CA)")
      .hook("preAction", (_, action) => {
        const flags = action.opts<{ url?: string; token?: string; ca?: string }>();
        chosen.url = flags.url ?? chosen.url;
        chosen.token = flags.token ?? chosen.token;
        const ca = flags.ca ?? env["STARLING_CA"];
        if (ca !== undefined && ca !== "") trust(ca);
      });
  }
  return program;
}

function exitOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof CliError ? error.exit : EXIT.failed;
}

endWithParent();
outliveReaders();
try {
  await makeProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : EXIT.usage);
  const text = error instanceof Error ? error.message : String(error);
  warn(`starling: ${text.split("\n", 1)[0]}`);
  process.exit(exitOf(error));
}
