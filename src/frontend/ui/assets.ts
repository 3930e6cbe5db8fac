/**
 * The page at `/ui`: files of `page/`, served as they stand by every host. A Worker has no files to
 * read, so they come as texts of one generated module (`files.ts`). The page holds no data: it asks
 * the public routes for what it shows, with the token that its reader gives it.
 */
import { Hono } from "hono";
import { etag } from "hono/etag";
import { secureHeaders } from "hono/secure-headers";
import type { StarlingEnv } from "../backend/call.ts";
import { files } from "./files.ts";

interface Asset {
  readonly type: string;
  readonly text: string;
}

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

const FRONT = "index.html";

function assetOf(name: string): Asset {
  const type = TYPES[name.split(".").at(-1) ?? ""];
  const text = files[name];
  if (type === undefined || text === undefined) throw new Error(`${name} is no file of the page`);
  return { type, text };
}

/** By the whole path. */
export const uiAssets: ReadonlyMap<string, Asset> = new Map([
  ["/ui", assetOf(FRONT)],
  ...Object.keys(files)
    .filter((name) => name !== FRONT)
    .map((name) => [`/ui/${name}`, assetOf(name)] as const),
]);

/**
 * Only this origin's own files and answers, no frames either way, no submitted forms, and no text
 * that becomes markup or code.
 */
const HEADERS = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
    requireTrustedTypesFor: ["'script'"],
    trustedTypes: ["'none'"],
  },
  // The host may serve other things under the same name: transport is its own business.
  strictTransportSecurity: false,
});

/** The page's files, with ETags of their bytes: after an upgrade no old one is used. */
export function pageRoutes(): Hono<StarlingEnv> {
  const app = new Hono<StarlingEnv>();
  app.use("/ui/*", HEADERS, etag());
  for (const [path, { type, text }] of uiAssets) {
    const headers = { "Content-Type": type, "Cache-Control": "no-cache" };
    app.get(path, (call) => call.body(text, 200, headers));
  }
  // All addresses are relative, so that the page works wherever the app is mounted.
  app.get("/ui/", (call) => call.redirect("../ui", 308));
  return app;
}
