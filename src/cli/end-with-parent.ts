/**
 * For a process that another one of ours started, and that is useless without it: the newer Node
 * behind `bin/starling.js`, the nodes of `starling cluster`. When the parent is killed, nobody can
 * tell the child. It finds itself with another parent, and stops as if it had been asked to. npx
 * cannot tell its child either: a signal to npx ends the shell in which it runs a command, and the
 * command would go on unknown to anybody.
 */

/** The process id of its parent. */
export const PARENT = "STARLING_ENDS_WITH";
const LOOK_MS = 500;

/** Of npx itself; a program that npx runs may start us for longer than it lives. */
function npxShell(env: NodeJS.ProcessEnv): string | undefined {
  const { npm_lifecycle_event: event, npm_lifecycle_script: script = "" } = env;
  const isOurs = event === "npx" && /^'?starling'?( |$)/.test(script);
  return isOurs ? String(process.ppid) : undefined;
}

/** To be called first of all: nothing that is started from here inherits it. */
export function endWithParent(): void {
  const parent = process.env[PARENT] ?? npxShell(process.env);
  delete process.env[PARENT];
  if (parent === undefined) return;
  const timer = setInterval(() => {
    if (String(process.ppid) === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, LOOK_MS);
  timer.unref();
}
