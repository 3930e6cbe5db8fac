/** The right to send `PURGE`: that of a token that may write. */
import { fieldOf } from "../cache/fields.ts";
import { type Auth, authenticate, requireAccess } from "../frontend/http/auth.ts";
import { Problem } from "../frontend/http/problems.ts";
import type { PurgeRefusal } from "./invalidator.ts";

const FORBIDDEN = "PURGE takes a token that may write and is bound to no namespaces.";

/** @param isOpen whether, without tokens, everybody may do everything */
export const purgeRight =
  (auth: () => Auth, isOpen: boolean): PurgeRefusal =>
  ({ fields }, namespace) => {
    try {
      const grant = authenticate(auth(), fieldOf(fields, "authorization"), isOpen);
      requireAccess(grant, { role: "write", namespace });
      return null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // A site's namespace is a name that no client is told.
      return error.code === "forbidden" ? new Problem("forbidden", FORBIDDEN) : error;
    }
  };
