/**
 * `starling-cache`: a node in one's own Node process, and its frontend as a hono app. A Worker
 * takes `starling-cache/worker`, a client `starling-cache/client`, a test `starling-cache/testing`.
 */
export type { StarlingEnv } from "./frontend/call.ts";
export type { TlsFiles } from "./local/certificates.ts";
export { ConfigError } from "./local/config-error.ts";
export { jsonLog, type Log } from "./local/logger.ts";
export { type NodeOptions, type RunningNode, startNode } from "./local/serve.ts";
