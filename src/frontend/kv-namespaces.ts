/**
 * Namespaces as the Workers KV façade shows them: title and id are both the namespace's name. One
 * that nobody created takes keys all the same, with the deployment's settings; it is not listed.
 */
import { isNamespace } from "../../core/keys.ts";
import type { Operation } from "../../core/operations.ts";
import { openChange } from "../../ring/ring-change.ts";
import { type Grant, requireAccess } from "./auth.ts";
import type { Backend } from "./backend.ts";
import { settingsOf } from "./data-plane.ts";
import { readJson } from "./json-body.ts";
import { envelope } from "./kv-envelope.ts";
import { Problem, problemOf } from "./problems.ts";

const PER_PAGE_DEFAULT = 20;
const PER_PAGE_MAX = 1000;

const describe = (name: string): Readonly<Record<string, unknown>> => ({
  id: name,
  title: name,
  supports_url_encoding: true,
});

/** @throws Problem `invalid-option` */
function wholeNumber(query: URLSearchParams, option: string, otherwise: number): number {
  const text = query.get(option);
  if (text === null) return otherwise;
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  const extras = { option };
  throw new Problem("invalid-option", `${option} must be a whole number from 1 on.`, { extras });
}

/** A page past the last is empty: clients go on until they see one. @throws Problem */
export async function listNamespaces(
  backend: Backend,
  query: URLSearchParams,
  grant: Grant,
): Promise<Response> {
  const page = wholeNumber(query, "page", 1);
  const perPage = Math.min(PER_PAGE_MAX, wholeNumber(query, "per_page", PER_PAGE_DEFAULT));
  const { namespaces } = await backend.freshView();
  const names = [...namespaces.keys()]
    .filter((name) => grant.namespaces === null || grant.namespaces.has(name))
    .sort();
  if (query.get("direction") === "desc") names.reverse();
  const shown = names.slice((page - 1) * perPage, page * perPage);
  return envelope(shown.map(describe), {
    page,
    per_page: perPage,
    count: shown.length,
    total_count: names.length,
    total_pages: Math.ceil(names.length / perPage),
  });
}

async function readTitle(request: Request): Promise<string> {
  const { title } = ((await readJson(request)) ?? {}) as { title?: unknown };
  if (typeof title === "string" && isNamespace(title)) return title;
  const letters = "1 to 64 of A-Z a-z 0-9 _ - ., the first a letter or a digit";
  throw new Problem("invalid-key", `The title is the namespace's name here: ${letters}.`);
}

async function run(backend: Backend, operation: Operation): Promise<void> {
  const result = await backend.execute(operation, "");
  if (result.kind === "failed") throw problemOf(result.failure, true);
}

/** With the deployment's settings. @throws Problem `namespace-exists` among others */
export async function createNamespace(
  backend: Backend,
  request: Request,
  grant: Grant,
): Promise<Response> {
  const namespace = await readTitle(request);
  requireAccess(grant, { role: "admin", namespace });
  const view = await backend.freshView();
  if (view.namespaces.has(namespace)) {
    throw new Problem("namespace-exists", "A namespace with this title already exists.");
  }
  const settings = settingsOf(view, namespace);
  await run(backend, { kind: "configure", namespace, settings });
  return envelope(describe(namespace));
}

export const showNamespace = (namespace: string): Response => envelope(describe(namespace));

/** There is nothing to rename: only the title that it has is taken. @throws Problem */
export async function renameNamespace(namespace: string, request: Request): Promise<Response> {
  if ((await readTitle(request)) === namespace) return showNamespace(namespace);
  throw new Problem("invalid-request", "A namespace is its title: it cannot be renamed.");
}

/** Purges all that is in it, and forgets its settings. @throws Problem */
export async function deleteNamespace(backend: Backend, namespace: string): Promise<Response> {
  const view = await backend.freshView();
  const { n } = settingsOf(view, namespace);
  if (n !== view.defaults.n && openChange(view.ring.document) !== null) {
    const detail = "Members are changing. Delete it when GET /v1/cluster/transfers is empty.";
    throw new Problem("ring-conflict", detail);
  }
  await run(backend, { kind: "purge", namespace, what: { everything: true } });
  // By then this node knows what the members know.
  if (backend.view().namespaces.has(namespace)) {
    await run(backend, { kind: "configure", namespace, settings: null });
  }
  return envelope(null);
}
