/** The first step, for whoever opens a store that is empty. */
import { h } from "./dom.js";

/**
 * Commands for a shell, as they work here.
 *
 * @param {string} base where the store is, with a slash at its end
 * @param {boolean} usesTokens
 */
export function firstSteps(base, usesTokens) {
  const token = usesTokens ? ' -H "Authorization: Bearer $TOKEN"' : "";
  const key = `${base}v1/kv/demo/hello`;
  const steps = [
    ["Store a value for an hour", `curl${token} -X PUT '${key}?ttl=3600' -d 'Hello, ring'`],
    ["Read it", `curl${token} '${key}'`],
    ["Read the latest, whatever happens", `curl${token} -i '${key}?consistency=strict'`],
  ];
  return steps.map(([words = "", command = ""]) =>
    h("li", {}, h("p", {}, words), h("pre", { tabindex: 0, "aria-label": words }, command)),
  );
}
