// The only globals beyond ECMAScript that the deterministic floors may use. All are pure and exist
// on every WinterTC runtime. Anything else (clocks, timers, chance, network) is left undeclared on
// purpose, so that the compiler refuses it here.
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number };
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array): string;
}
declare const URL: {
  new (url: string): { readonly host: string };
  canParse(url: string): boolean;
};
