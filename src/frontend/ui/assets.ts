/**
 * The page at `/ui`: texts, served as they stand by every host. It is made of modules because a
 * Worker has no files to read, and it needs no build step. The page holds no data; what it shows it
 * asks of the routes that everybody can ask, with the token that its reader gives it.
 */
import { Hono } from "hono";
import { etag } from "hono/etag";
import { secureHeaders } from "hono/secure-headers";
import type { StarlingEnv } from "../call.ts";
import { apiScript } from "./api-script.ts";
import { appScript } from "./app-script.ts";
import { domScript } from "./dom-script.ts";
import { lookupScript } from "./lookup-script.ts";
import { membersScript } from "./members-script.ts";
import { icon, page } from "./page.ts";
import { partsStyle } from "./parts-style.ts";
import { ringScript } from "./ring-script.ts";
import { style } from "./style.ts";
import { trafficScript } from "./traffic-script.ts";
import { transfersScript } from "./transfers-script.ts";

interface Asset {
  readonly type: string;
  readonly text: string;
}

const script = (text: string): Asset => ({ type: "text/javascript; charset=utf-8", text });
const css = (text: string): Asset => ({ type: "text/css; charset=utf-8", text });
const html: Asset = { type: "text/html; charset=utf-8", text: page };

/** By the whole path. */
export const uiAssets: ReadonlyMap<string, Asset> = new Map([
  ["/ui", html],
  ["/ui/", html],
  ["/ui/icon.svg", { type: "image/svg+xml", text: icon }],
  ["/ui/app.css", css(style)],
  ["/ui/parts.css", css(partsStyle)],
  ["/ui/app.js", script(appScript)],
  ["/ui/api.js", script(apiScript)],
  ["/ui/dom.js", script(domScript)],
  ["/ui/lookup.js", script(lookupScript)],
  ["/ui/members.js", script(membersScript)],
  ["/ui/ring.js", script(ringScript)],
  ["/ui/traffic.js", script(trafficScript)],
  ["/ui/transfers.js", script(transfersScript)],
]);

/**
 * Nothing but this origin's own files and answers, no frames either way, no form that is sent, and
 * no text that becomes markup or code.
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

/** The page's files, with tags of their bytes: after an upgrade none of them is an old one. */
export function pageRoutes(): Hono<StarlingEnv> {
  const app = new Hono<StarlingEnv>();
  app.use("/ui/*", HEADERS, etag());
  for (const [path, { type, text }] of uiAssets) {
    const headers = { "Content-Type": type, "Cache-Control": "no-cache" };
    app.get(path, (call) => call.body(text, 200, headers));
  }
  return app;
}
