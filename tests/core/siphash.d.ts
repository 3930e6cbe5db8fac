// The package ships TypeScript sources but no declarations.
declare module "siphash" {
  interface SipHash {
    hash_hex(key: Uint32Array, message: Uint8Array): string;
  }
  const siphash: SipHash;
  export default siphash;
}
