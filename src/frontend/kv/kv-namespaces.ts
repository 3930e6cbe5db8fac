/**
 * Namespaces as the Workers KV façade shows them: the id is the namespace's name, and so is the
 * title unless it was given another. A namespace that nobody created takes keys all the same, with
 * the deployment's settings, but is not listed.
 */
import { compareUtf8, isNamespace } from "../../../core/keys.ts";
import { TITLE_CHARS_MAX } from "../../../core/limits.ts";
import { openChange } from "../../../ring/ring-change.ts";
import type { Backend, ClusterView } from "../backend/backend.ts";
import { run } from "../backend/run.ts";
import { settingsOf } from "../data/data-plane.ts";
import { type Grant, requireAccess } from "../http/auth.ts";
import { readJson } from "../http/json-body.ts";
import { Problem } from "../http/problems.ts";
import { envelope } from "./kv-envelope.ts";

const PER_PAGE_DEFAULT = 20;
const PER_PAGE_MAX = 1000;

const titleOf = (name: string, { namespaces }: ClusterView): string =>
  namespaces.get(name)?.title ?? name;

const describe = (name: string, title: string): Readonly<Record<string, unknown>> => ({
  id: name,
  title,
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
  const view = await backend.freshView();
  const names = [...view.namespaces.keys()]
    .filter((name) => grant.namespaces === null || grant.namespaces.has(name))
    .sort();
  if (query.get("order") === "title") {
    names.sort((a, b) => compareUtf8(titleOf(a, view), titleOf(b, view)));
  }
  if (query.get("direction") === "desc") names.reverse();
  const shown = names.slice((page - 1) * perPage, page * perPage);
  return envelope(
    shown.map((name) => describe(name, titleOf(name, view))),
    {
      page,
      per_page: perPage,
      count: shown.length,
      total_count: names.length,
      total_pages: Math.ceil(names.length / perPage),
    },
  );
}

/** @throws Problem `invalid-request` */
async function readTitle(request: Request): Promise<string> {
  const { title } = ((await readJson(request)) ?? {}) as { title?: unknown };
  if (typeof title === "string" && title.trim() !== "" && title.length <= TITLE_CHARS_MAX) {
    if (title.isWellFormed()) return title;
  }
  const detail = `"title" must be a text of 1 to ${TITLE_CHARS_MAX} characters.`;
  throw new Problem("invalid-request", detail);
}

/** @throws Problem `namespace-exists` when another one is called so */
function refuseTaken(title: string, view: ClusterView, own: string | null): void {
  const isTaken = [...view.namespaces.keys()].some(
    (name) => name !== own && titleOf(name, view) === title,
  );
  if (isTaken) throw new Problem("namespace-exists", "A namespace with this title already exists.");
}

/** As Cloudflare's: for a title that cannot be the name itself. */
const freshId = (): string => crypto.randomUUID().replaceAll("-", "");

/**
 * With the deployment's settings. A title that can be a namespace's name is its name; any other
 * gets an id.
 *
 * @throws Problem `namespace-exists` among others
 */
export async function createNamespace(
  backend: Backend,
  request: Request,
  grant: Grant,
): Promise<Response> {
  const title = await readTitle(request);
  const view = await backend.freshView();
  const isName = isNamespace(title) && !view.namespaces.has(title);
  const namespace = isName ? title : freshId();
  requireAccess(grant, { role: "admin", namespace });
  refuseTaken(title, view, null);
  const settings = { ...settingsOf(view, namespace), ...(isName ? {} : { title }) };
  await run(backend, { kind: "configure", namespace, settings });
  return envelope(describe(namespace, title));
}

export async function showNamespace(backend: Backend, namespace: string): Promise<Response> {
  return envelope(describe(namespace, titleOf(namespace, await backend.freshView())));
}

/** Its id stays. @throws Problem `namespace-exists` among others */
export async function renameNamespace(
  backend: Backend,
  namespace: string,
  request: Request,
): Promise<Response> {
  const title = await readTitle(request);
  const view = await backend.freshView();
  refuseTaken(title, view, namespace);
  const { title: _, ...settings } = settingsOf(view, namespace);
  const named = title === namespace ? settings : { ...settings, title };
  await run(backend, { kind: "configure", namespace, settings: named });
  return envelope(describe(namespace, title));
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
  // By now this node knows what the members know.
  if (backend.view().namespaces.has(namespace)) {
    await run(backend, { kind: "configure", namespace, settings: null });
  }
  return envelope(null);
}
