/** `starling completion bash|zsh|fish`: what a shell is to offer, from the commands themselves. */
import { Argument, type Command } from "commander";
import { say } from "./output.ts";

interface Offered {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly { readonly name: string; readonly description: string }[];
}

function offeredBy(program: Command): readonly Offered[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    flags: command.options.flatMap(({ long, description, hidden }) =>
      typeof long === "string" && !hidden ? [{ name: long, description }] : [],
    ),
  }));
}

/** In single quotes, as every one of the three takes it. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function bash(commands: readonly Offered[]): string {
  const cases = commands.map(
    ({ name, flags }) =>
      `    ${name}) words=${quoted(flags.map((flag) => flag.name).join(" "))} ;;`,
  );
  return `# bash: eval "$(starling completion bash)"
_starling() {
  local current=\${COMP_WORDS[COMP_CWORD]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=${quoted(`${commands.map(({ name }) => name).join(" ")} --version --help`)}
  else case \${COMP_WORDS[1]} in
${cases.join("\n")}
  esac; fi
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ] || [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o default -F _starling starling`;
}

/** Within `_describe` a colon ends the word, and within `_arguments` a bracket the text. */
const zshWord = (name: string, description: string): string =>
  quoted(`${name.replaceAll(":", "\\:")}:${description}`);
const zshFlag = (name: string, description: string): string =>
  quoted(`${name}[${description.replaceAll("[", "(").replaceAll("]", ")")}]`);

function zsh(commands: readonly Offered[]): string {
  const words = commands.map(({ name, description }) => `    ${zshWord(name, description)}`);
  const cases = commands.map(({ name, flags }) => {
    const all = flags.map((flag) => zshFlag(flag.name, flag.description)).join(" ");
    return `    ${name}) _arguments ${all} '*:file:_files' ;;`;
  });
  return `#compdef starling
# zsh: eval "$(starling completion zsh)"
_starling() {
  local -a commands=(
${words.join("\n")}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=$words[2]
  shift words; (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
compdef _starling starling`;
}

function fish(commands: readonly Offered[]): string {
  const lines = ["# fish: starling completion fish | source"];
  for (const { name, description, flags } of commands) {
    lines.push(
      `complete -c starling -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
    );
    for (const flag of flags) {
      const when = `'__fish_seen_subcommand_from ${name}'`;
      const long = flag.name.replace(/^--/, "");
      lines.push(`complete -c starling -n ${when} -l ${long} -d ${quoted(flag.description)}`);
    }
  }
  return lines.join("\n");
}

const SHELLS = { bash, zsh, fish } as const;

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("print what makes a shell complete this command: eval it, or keep it in a file")
    .addArgument(new Argument("<shell>", "which one").choices(Object.keys(SHELLS)))
    .action((shell: keyof typeof SHELLS) => say(SHELLS[shell](offeredBy(program))));
}
