/** `starling COMMAND`: exit status 0 done, 1 it failed (one line on stderr), 2 wrong usage. */
import { Command, CommanderError } from "commander";
import { addClusterCommands } from "./cluster-commands.ts";
import { addDataCommands } from "./data-commands.ts";
import { endWithParent } from "./end-with-parent.ts";
import { addExport } from "./export.ts";
import { addFaultCommand } from "./fault-command.ts";
import { type Endpoint, trust } from "./http.ts";
import { addImport } from "./import.ts";
import { outliveReaders, UsageError, warn } from "./output.ts";
import { addProcessCommands } from "./processes.ts";

const URL_DEFAULT = "http://127.0.0.1:8787";

function makeProgram(): Command {
  const program = new Command("starling")
    .description("A leaderless, Dynamo-style edge cache.")
    .showHelpAfterError("(starling --help says more)")
    .exitOverride();
  const endpoint = (): Endpoint => {
    const { url, token } = chosen;
    if (!URL.canParse(url)) throw new UsageError(`--url: "${url}" is no URL`);
    return { url, token };
  };
  const env = process.env;
  const chosen: { url: string; token: string | undefined } = {
    url: env["STARLING_URL"] ?? URL_DEFAULT,
    token: env["STARLING_TOKEN"],
  };
  addProcessCommands(program);
  addDataCommands(program, endpoint);
  addImport(program, endpoint);
  addExport(program, endpoint);
  addClusterCommands(program, endpoint);
  addFaultCommand(program, endpoint);
  const local = new Set(["dev", "node", "cluster", "check"]);
  for (const command of program.commands) {
    command.exitOverride().showHelpAfterError("(add --help for its options)");
    if (local.has(command.name())) continue;
    command
      .option("--url <url>", `a frontend (STARLING_URL, default ${URL_DEFAULT})`)
      .option("--token <token>", "a bearer token (STARLING_TOKEN)")
      .option("--ca <file>", "whom to trust for https besides the usual (STARLING_CA)")
      .hook("preAction", (_, action) => {
        const flags = action.opts<{ url?: string; token?: string; ca?: string }>();
        chosen.url = flags.url ?? chosen.url;
        chosen.token = flags.token ?? chosen.token;
        const ca = flags.ca ?? env["STARLING_CA"];
        if (ca !== undefined) trust(ca);
      });
  }
  return program;
}

endWithParent();
outliveReaders();
try {
  await makeProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  const text = error instanceof Error ? error.message : String(error);
  warn(`starling: ${text.split("\n", 1)[0]}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
