/**
 * A board of notes that never goes back in time for who looks at it, though each page is read from
 * one replica. A browser's session is a cookie with the contexts of what it was shown and wrote:
 * they are signed and bound to their key, so a browser may keep them.
 */
import { type Session, StarlingClient, StarlingError } from "../../src/client/index.ts";

interface Env {
  /** A frontend, or several with commas between. */
  readonly STARLING_URL: string;
  readonly STARLING_TOKEN?: string;
}

const KEY = "board";
const NOTES_MAX = 50;
const CHARS_MAX = 200;
const COOKIE = "starling-session";
const YEAR_SECONDS = 365 * 86_400;

/** The session that the browser sent back; a new one where there is none, or nonsense. */
function sessionOf(request: Request, env: Env): Session {
  const client = new StarlingClient({
    url: env.STARLING_URL.split(","),
    namespace: "notes",
    ...(env.STARLING_TOKEN === undefined ? {} : { token: env.STARLING_TOKEN }),
  });
  const cookies = (request.headers.get("Cookie") ?? "").split("; ");
  const context = cookies.find((text) => text.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  const isContext = context !== undefined && /^[\w-]{1,3000}$/.test(context);
  return client.session(isContext ? { contexts: { [KEY]: context } } : {});
}

/** All notes of all siblings, each once, in the order of a reader who saw both. */
const merged = (lists: readonly (readonly string[])[]): readonly string[] =>
  [...new Set(lists.flat())].slice(-NOTES_MAX);

async function add(note: string, session: Session): Promise<void> {
  await session.update(KEY, (versions) => {
    const notes = merged(versions.map((version) => version.json<string[]>()).reverse());
    return { value: JSON.stringify(merged([notes, [note]])), contentType: "application/json" };
  });
}

/** One replica, unless that one is behind what this browser has seen. */
async function read(session: Session): Promise<{ notes: readonly string[]; answered: number }> {
  const got = await session.get(KEY, { r: 1 });
  const answered = got.quorum.answered ?? 0;
  if (!got.exists) return { notes: [], answered };
  if (got.siblings < 2) return { notes: (await got.json<string[]>()) ?? [], answered };
  const { versions } = await session.siblings(KEY);
  return { notes: merged(versions.map((one) => one.json<string[]>()).reverse()), answered };
}

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

function page(notes: readonly string[], answered: number): string {
  const items = notes.map((note) => `<li>${escaped(note)}</li>`).join("\n");
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Notes</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body{font:1rem/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>
<h1>Notes</h1>
<form method="post"><label>A note <input name="note" maxlength="${CHARS_MAX}" required autofocus>
</label> <button>Add</button></form>
<ol>
${items}
</ol>
<p>Replicas asked for this page: ${answered}.</p></html>`;
}

/** Where a browser keeps what it was shown; no script reads it, and no other site sends it. */
function cookieOf(session: Session, request: Request): Record<string, string> {
  const context = session.contexts()[KEY];
  if (context === undefined) return {};
  const secure = new URL(request.url).protocol === "https:" ? "; Secure" : "";
  const life = `Max-Age=${YEAR_SECONDS}; Path=/; HttpOnly; SameSite=Lax${secure}`;
  return { "Set-Cookie": `${COOKIE}=${context}; ${life}` };
}

async function answer(request: Request, session: Session): Promise<Response> {
  if (request.method === "POST") {
    const note = String((await request.formData()).get("note") ?? "").slice(0, CHARS_MAX);
    if (note.trim() !== "") await add(note, session);
    const headers = { Location: "/", ...cookieOf(session, request) };
    return new Response(null, { status: 303, headers });
  }
  const { notes, answered } = await read(session);
  const headers = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "private, no-store",
    ...cookieOf(session, request),
  };
  return new Response(page(notes, answered), { headers });
}

/** A cookie that was not made here, or under another secret: the browser begins anew. */
function forget(): Response {
  const headers = { Location: "/", "Set-Cookie": `${COOKIE}=; Max-Age=0; Path=/` };
  return new Response(null, { status: 303, headers });
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      return await answer(request, sessionOf(request, env));
    } catch (error) {
      // Rather this than a page that is older than the last one.
      if (!(error instanceof StarlingError)) throw error;
      if (error.code === "invalid-context") return forget();
      const text = `The notes cannot be had just now (${error.code}). Try again.`;
      return new Response(text, { status: 503, headers: { "Retry-After": "1" } });
    }
  },
};
