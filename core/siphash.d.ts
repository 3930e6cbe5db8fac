// The package ships TypeScript sources but no declarations.
declare module "siphash" {
  interface Word64 {
    readonly h: number;
    readonly l: number;
  }
  interface SipHash {
    hash(key: Uint32Array, message: Uint8Array | string): Word64;
  }
  const siphash: SipHash;
  export default siphash;
}
