/**
 * What an origin must not be: a member of the cluster, or a listener of this process. On loopback
 * the API is open without tokens, and a site must not be a way in. The address itself is checked,
 * after DNS, at every connect.
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

export interface Listener {
  readonly host: string;
  readonly port: number;
}

const LOCAL = new BlockList();
LOCAL.addSubnet("127.0.0.0", 8);
LOCAL.addSubnet("0.0.0.0", 8);
LOCAL.addAddress("::1", "ipv6");
LOCAL.addAddress("::", "ipv6");

/** IPv4 within IPv6 is the IPv4 address that it stands for. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address);
  if (hex === null) return address.replace(/%.*$/, "").toLowerCase();
  const [high = 0, low = 0] = hex.slice(1).map((part) => Number.parseInt(part, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** Whether an address is this machine's. */
function isLocal(address: string): boolean {
  if (LOCAL.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")) return true;
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((own) => plainAddress(own.address) === address),
  );
}

/** The addresses of a host; itself where it is one. @throws the resolver's error */
export async function addressesOf(host: string): Promise<readonly string[]> {
  const bare = host.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return [bare];
  return (await lookup(bare, { all: true })).map(({ address }) => address);
}

export interface Ours {
  /** The ports of this process: on whichever of this machine's addresses they are reached. */
  ownPorts(): readonly number[];
  members(): readonly Listener[];
}

async function isMember(address: string, port: number, members: readonly Listener[]) {
  for (const member of members) {
    if (member.port !== port) continue;
    // Nobody can reach a member whose name cannot be resolved now.
    const theirs = await addressesOf(member.host).catch(() => []);
    const plain = theirs.map(plainAddress);
    if (plain.includes(address)) return true;
    if (isLocal(address) && plain.some(isLocal)) return true;
  }
  return false;
}

/** Whether a connection to there would be one to ourselves. */
export async function isOurs(address: string, port: number, ours: Ours): Promise<boolean> {
  const plain = plainAddress(address);
  if (ours.ownPorts().includes(port) && isLocal(plain)) return true;
  return isMember(plain, port, ours.members());
}
