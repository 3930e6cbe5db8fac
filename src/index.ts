/**
 * `starling-cache`: a node in one's own Node process, and its frontend as a hono app. A Worker
 * takes `starling-cache/worker`, a client `starling-cache/client`, a test `starling-cache/testing`.
 */
export type { StarlingEnv } from "./frontend/backend/call.ts";
export type { TlsFiles } from "./local/identity/certificates.ts";
export { ConfigError } from "./local/process/config-error.ts";
export { jsonLog, type Log } from "./local/process/logger.ts";
export { type NodeOptions, type RunningNode, startNode } from "./local/serve.ts";
