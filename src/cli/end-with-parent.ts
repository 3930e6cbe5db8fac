/**
 * A process that another one of ours started, and that is nothing without it: the newer Node behind
 * `bin/starling.js`, the nodes of `starling cluster`. When the other is killed, nobody can tell it;
 * it finds itself with another parent, and stops as if it had been asked to.
 */

/** The process id of its parent. */
export const PARENT = "STARLING_ENDS_WITH";
const LOOK_MS = 500;

/** To be called first of all: nothing that is started from here inherits it. */
export function endWithParent(): void {
  const parent = process.env[PARENT];
  delete process.env[PARENT];
  if (parent === undefined) return;
  const timer = setInterval(() => {
    if (String(process.ppid) === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, LOOK_MS);
  timer.unref();
}
