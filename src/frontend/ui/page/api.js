/** Requests to this frontend, with the token that the reader gave for this tab. */
import { byId, find, inputOf, say } from "./dom.js";

const KEPT = "starling-token";
const CLUSTER_PATH = "/v1/cluster";
/** Where the app is mounted, with a slash at its end: one folder above this file. */
export const BASE = new URL("..", import.meta.url).href;
/** @type {Promise<void> | null} */
let asking = null;
let isDeclined = false;

/** @typedef {{ readonly detail?: string, readonly code?: string }} ProblemBody */

/** A request that was answered with a problem. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {ProblemBody} problem
   */
  constructor(status, problem) {
    super(problem.detail ?? `The answer was ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
  }
}

/** @param {string} reason */
function askForToken(reason) {
  asking ??= new Promise((resolve) => {
    const dialog = find("token-dialog", HTMLDialogElement);
    const input = inputOf("token");
    isDeclined = true;
    say(byId("token-reason"), reason);
    input.value = "";
    /** @param {Event} event */
    const submit = (event) => {
      event.preventDefault();
      isDeclined = false;
      sessionStorage.setItem(KEPT, input.value.trim());
      dialog.close();
    };
    byId("token-form").addEventListener("submit", submit);
    const close = () => {
      byId("token-form").removeEventListener("submit", submit);
      asking = null;
      resolve();
    };
    dialog.addEventListener("close", close, { once: true });
    dialog.showModal();
  });
  return asking;
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;
/** Whether there is a token to give or to forget. */
export const usesTokens = () => hasToken() || isDeclined;
export const forgetToken = () => sessionStorage.removeItem(KEPT);
export const giveToken = () => askForToken("An admin token shows everything on this page.");

/**
 * @param {string} path
 * @param {RequestInit} init
 */
function send(path, init) {
  const token = sessionStorage.getItem(KEPT);
  const headers = new Headers(init.headers);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  return fetch(BASE + path.slice(1), { ...init, headers, cache: "no-store", redirect: "error" });
}

/**
 * Whether another token is to be asked for. One of fewer rights sees its part of the page, and of
 * the other part it is told once that there is more.
 *
 * @param {Response} answer
 * @param {string} path
 */
const wantsToken = ({ status }, path) =>
  status === 401 || (status === 403 && path === CLUSTER_PATH);

/**
 * The answer, whatever its status; asks for a token where one is needed.
 *
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
export async function ask(path, init = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEPT);
    const answer = await send(path, init);
    if (!wantsToken(answer, path)) return answer;
    const wasReplaced = sessionStorage.getItem(KEPT) !== token;
    if (wasReplaced) continue;
    if (isDeclined && asking === null) return answer;
    const isUnknown = answer.status === 401;
    await askForToken(
      isUnknown
        ? "This deployment asks for a token."
        : "The cluster's part needs the token of an admin or a monitor.",
    );
    if (sessionStorage.getItem(KEPT) === token) return answer;
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<ApiError>}
 */
export async function failureOf(answer) {
  /** @type {ProblemBody} */
  const problem = await answer.json().catch(() => ({}));
  return new ApiError(answer.status, problem);
}

/**
 * JSON of a 2xx answer. @throws ApiError for any other
 *
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<unknown>}
 */
export async function json(path, init = {}) {
  const answer = await ask(path, init);
  if (!answer.ok) throw await failureOf(answer);
  return answer.json();
}

/** @param {string} path */
export async function text(path) {
  const answer = await ask(path);
  if (!answer.ok) throw await failureOf(answer);
  return answer.text();
}
