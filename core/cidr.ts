/** Addresses and blocks of them (RFC 4632, RFC 4291): Web platforms have no such thing. */

interface Bits {
  readonly value: bigint;
  readonly size: 32 | 128;
}

function ipv4Of(text: string): bigint | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return null;
  return parts.reduce((all, part) => (all << 8n) | BigInt(part), 0n);
}

/** The platform's parser of URLs knows all ways to write an IPv6 address. */
function ipv6Of(text: string): bigint | null {
  if (!text.includes(":") || !URL.canParse(`http://[${text}]/`)) return null;
  const [head = "", tail] = new URL(`http://[${text}]/`).host.slice(1, -1).split("::");
  const groups = (half: string | undefined): string[] => (half ? half.split(":") : []);
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array<string>(8 - before.length - after.length).fill("0");
  const all = [...before, ...zeros, ...after];
  return all.reduce((value, group) => (value << 16n) | BigInt(Number.parseInt(group, 16)), 0n);
}

const MAPPED = 0xffffn;

/** IPv4 within IPv6 is the IPv4 address that it stands for. */
function bitsOf(text: string): Bits | null {
  const four = ipv4Of(text);
  if (four !== null) return { value: four, size: 32 };
  const six = ipv6Of(text);
  if (six === null) return null;
  return six >> 32n === MAPPED
    ? { value: six & 0xffff_ffffn, size: 32 }
    : { value: six, size: 128 };
}

const LENGTH = /^(?:0|[1-9]\d{0,2})$/;

/** Whether it is an address, or a block whose prefix is no longer than an address has bits. */
export function isCidr(text: string): boolean {
  const [address = "", length, ...others] = text.split("/");
  const isIpv4 = ipv4Of(address) !== null;
  if (others.length > 0 || (!isIpv4 && ipv6Of(address) === null)) return false;
  return length === undefined || (LENGTH.test(length) && Number(length) <= (isIpv4 ? 32 : 128));
}

/** @param cidrs addresses and blocks; a text that is neither contains no address */
export function isWithin(address: string, cidrs: readonly string[]): boolean {
  const asked = bitsOf(address);
  if (asked === null) return false;
  return cidrs.some((cidr) => {
    const [text = "", length] = cidr.split("/");
    const block = bitsOf(text);
    if (block === null || block.size !== asked.size) return false;
    const hostBits = BigInt(block.size - Math.min(block.size, Number(length ?? block.size)));
    return block.value >> hostBits === asked.value >> hostBits;
  });
}
