/** Header fields as they came, one name and one value after the other. */
import type { RequestHeaders } from "../../frontend/http/exchange.ts";

export class RawHeaders implements RequestHeaders {
  readonly raw: readonly string[];

  constructor(raw: readonly string[]) {
    this.raw = raw;
  }

  /** A walk over a dozen names is shorter than making a map of them. */
  get(name: string): string | null {
    const { raw } = this;
    let found: string | null = null;
    let lower = "";
    for (let i = 0; i < raw.length; i += 2) {
      const other = raw[i] as string;
      if (other.length !== name.length) continue;
      if (other !== name) {
        if (lower === "") lower = name.toLowerCase();
        if (other.toLowerCase() !== lower) continue;
      }
      const value = raw[i + 1] as string;
      found = found === null ? value : `${found}, ${value}`;
    }
    return found;
  }
}
