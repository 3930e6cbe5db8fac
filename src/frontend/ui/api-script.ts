/** `/ui/api.js`: requests to this frontend, with the token that the operator gave for this tab. */
export const apiScript = `
import { byId, say } from "./dom.js";

const KEPT = "starling-token";
let asking = null;
let isDeclined = false;

/** A request that was answered with a problem. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "The answer was " + status + ".");
    this.status = status;
    this.code = problem.code ?? "";
  }
}

function askForToken(reason) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    const input = byId("token");
    isDeclined = true;
    say(byId("token-reason"), reason);
    input.value = "";
    const submit = (event) => {
      event.preventDefault();
      isDeclined = false;
      sessionStorage.setItem(KEPT, input.value.trim());
      dialog.close();
    };
    byId("token-form").addEventListener("submit", submit);
    dialog.addEventListener("close", () => {
      byId("token-form").removeEventListener("submit", submit);
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;
/** Whether there is a token to give or to forget. */
export const usesTokens = () => hasToken() || isDeclined;
export const forgetToken = () => sessionStorage.removeItem(KEPT);
export const giveToken = () => askForToken("An admin token shows everything on this page.");

function send(path, init) {
  const token = sessionStorage.getItem(KEPT);
  const headers = new Headers(init.headers);
  if (token !== null) headers.set("Authorization", "Bearer " + token);
  return fetch(path, { ...init, headers, cache: "no-store", redirect: "error" });
}

/** The answer, whatever its status; asks for a token where one is needed. */
export async function ask(path, init = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEPT);
    const answer = await send(path, init);
    if (answer.status !== 401 && answer.status !== 403) return answer;
    const wasReplaced = sessionStorage.getItem(KEPT) !== token;
    if (wasReplaced) continue;
    if (isDeclined && asking === null) return answer;
    const isUnknown = answer.status === 401;
    await askForToken(
      isUnknown ? "This deployment asks for a token." : "This page needs an admin token.",
    );
    if (sessionStorage.getItem(KEPT) === token) return answer;
  }
}

async function failureOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new ApiError(answer.status, problem);
}

/** JSON of a 2xx answer; throws ApiError for any other. */
export async function json(path, init = {}) {
  const answer = await ask(path, init);
  if (!answer.ok) throw await failureOf(answer);
  return answer.json();
}

export async function text(path) {
  const answer = await ask(path);
  if (!answer.ok) throw await failureOf(answer);
  return answer.text();
}

export { failureOf };
`;
