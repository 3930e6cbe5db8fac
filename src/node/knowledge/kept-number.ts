/** Single numbers that outlive a restart, by name, beside what a store holds. */
import { CodecError } from "../../../core/check.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { Store } from "../../../core/store.ts";

/** @throws CodecError when something else is kept under that name */
export function keptNumber(store: Store, name: string): number | undefined {
  const bytes = store.readMeta(name);
  if (bytes === undefined) return undefined;
  const value = decode(bytes);
  if (typeof value !== "number") throw new CodecError(`"${name}" is kept as a number`);
  return value;
}

export function keepNumber(store: Store, name: string, value: number): void {
  store.writeMeta(name, encode(value));
}
