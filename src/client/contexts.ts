/**
 * What a session remembers: for each key the context of the last answer. It is bounded: contexts of
 * keys that were used least recently are forgotten, and with them only the promise that the next
 * read of such a key is not older than the last one.
 */
export class Contexts {
  readonly #tokens = new Map<string, string>();
  readonly #keysMax: number;

  /** @throws RangeError when it could remember nothing */
  constructor(keysMax: number, tokens: Readonly<Record<string, string>>) {
    if (!(keysMax >= 1)) throw new RangeError("a session remembers at least one key");
    this.#keysMax = keysMax;
    for (const [key, token] of Object.entries(tokens)) this.wrote(key, token);
  }

  get(key: string): string | null {
    const token = this.#tokens.get(key);
    if (token === undefined) return null;
    this.wrote(key, token);
    return token;
  }

  /** A write's answer names what the client has written: it always counts. */
  wrote(key: string, token: string): void {
    this.#tokens.delete(key);
    this.#tokens.set(key, token);
    if (this.#tokens.size <= this.#keysMax) return;
    for (const oldest of this.#tokens.keys()) {
      this.#tokens.delete(oldest);
      return;
    }
  }

  /** A read that began before another answer came may know less than that one: it is ignored. */
  read(key: string, token: string, sent: string | null): void {
    if ((this.#tokens.get(key) ?? null) === sent) this.wrote(key, token);
  }

  forget(key: string): void {
    this.#tokens.delete(key);
  }

  all(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#tokens);
  }
}
