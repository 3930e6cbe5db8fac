/** Who may send `PURGE`: whoever has a token that may write. */
import { fieldOf } from "../cache/fields.ts";
import { type Auth, authenticate, requireAccess } from "../frontend/http/auth.ts";
import { Problem } from "../frontend/http/problems.ts";
import type { MayPurge } from "./invalidator.ts";

/** @param isOpen whether everybody may do all where there are no tokens */
export const purgeRight =
  (auth: () => Auth, isOpen: boolean): MayPurge =>
  ({ fields }, namespace) => {
    try {
      const grant = authenticate(auth(), fieldOf(fields, "authorization"), isOpen);
      requireAccess(grant, { role: "write", namespace });
      return true;
    } catch (error) {
      if (error instanceof Problem) return false;
      throw error;
    }
  };
