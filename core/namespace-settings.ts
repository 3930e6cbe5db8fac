/** What applies to the values of a namespace. */
import { VALUE_BYTES_DEFAULT } from "./limits.ts";

/** The settings of a namespace as the HTTP contract spells them. */
export interface NamespaceSettings {
  readonly n: number;
  readonly r: number | "one" | "quorum" | "all";
  readonly w: number | "one" | "quorum" | "all";
  readonly dw: number | "one" | "quorum" | "all";
  /** Seconds; null: values live for ever unless the write says otherwise. */
  readonly ttl: number | null;
  readonly maxValueBytes: number;
  readonly maxBytes: number | null;
  readonly trustedContent: boolean;
  /** What people call it, where that is not its name. */
  readonly title?: string;
  /** The origins whose pages may read answers about it, with a blank between them. */
  readonly corsOrigins?: string;
  /** The settings of a site as JSON, where its responses are stored (see core/site.ts). */
  readonly site?: string;
}

/** The settings of a namespace that nobody created, and any that its creator did not name. */
export const defaultSettings = (n: number): NamespaceSettings => ({
  n,
  r: "quorum",
  w: "quorum",
  dw: "quorum",
  ttl: null,
  maxValueBytes: VALUE_BYTES_DEFAULT,
  maxBytes: null,
  trustedContent: false,
});
