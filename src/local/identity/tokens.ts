/** The tokens file: who may call a frontend, and with what right. */
import { readOr } from "../../../core/check.ts";
import { type Auth, noTokens, parseTokens } from "../../frontend/http/auth.ts";
import { ConfigError, readText } from "../process/config-error.ts";

/** @throws ConfigError that names the file and what is wrong with it */
export async function readTokens(file: string | undefined): Promise<Auth> {
  if (file === undefined) return noTokens;
  const text = await readText(file, "tokens file");
  return readOr(
    () => parseTokens(text),
    (problem) => new ConfigError(`${file}: ${problem}`),
  );
}

/**
 * What a frontend without tokens does: on loopback everything that it is asked, elsewhere nothing.
 */
export const withoutTokens = (isOpen: boolean): string =>
  isOpen
    ? "no --tokens-file; this member is on loopback, so every request is served"
    : "no --tokens-file: every request for data or the cluster is answered 401; give one";
