/**
 * Every bound in one place, with its arithmetic beside it. Bytes unless the name says otherwise.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** From the HTTP contract. */
export const NAMESPACE_CHARS_MAX = 64;
export const KEY_BYTES_MAX = 512;
export const METADATA_BYTES_MAX = 1024;
export const TAGS_COUNT_MAX = 32;
export const TAG_CHARS_MAX = 128;
export const CONTEXT_TOKEN_BYTES_MAX = 4 * KIB;
export const TTL_SECONDS_MIN = 0.001;
export const TTL_SECONDS_MAX = 315_360_000;
export const TIMEOUT_MS_MAX = 60_000;
/** The longest staleness that a read may name, in ms: as long as a TTL. */
export const STALE_MS_MAX = 1000 * TTL_SECONDS_MAX;
export const BATCH_OPS_MAX = 1000;
export const LIST_KEYS_MAX = 1000;
/** Names of namespaces in one reply: 64 KB of them. */
export const LIST_NAMESPACES_MAX = 1000;
/** Of a change feed: changes in one answer, how long a poll is held in ms, a token's length. */
export const CHANGES_COUNT_MAX = 10_000;
export const CHANGES_WAIT_MS_MAX = 60_000;
export const FEED_TOKEN_CHARS_MAX = 2 * KIB;
/** By `changeBytes`, no answer of a feed is longer: in JSON that is 4 MiB. */
export const BYTES_OF_CHANGES_MAX = 3 * MIB;
/** Entries in one page out of a cluster, or in one request into it. */
export const ENTRIES_COUNT_MAX = 1000;
/** A page ends where it has passed this; one entry alone may be longer. */
export const ENTRIES_BYTES = 4 * MIB;
/** A request with entries: one key with all siblings that it may have, and some room. */
export const ENTRIES_BYTES_MAX = 48 * MIB;
/** Of a namespace's title, as Cloudflare allows. */
export const TITLE_CHARS_MAX = 512;
/** Of a namespace's `corsOrigins`, together: some thirty of them. */
export const ORIGINS_CHARS_MAX = 2048;

/** The default of `maxValueBytes`. */
export const VALUE_BYTES_DEFAULT = MIB;
/**
 * The highest `maxValueBytes` that a namespace may ask for. A record of the Durable Object's SQLite
 * is split over rows of under 2 MB, so its row limit does not bind; memory does: a coordinator
 * holds a value once as it came in and once encoded, for each of some ten requests, within 128 MB.
 */
export const VALUE_BYTES_MAX = 5 * MIB;

/** The header values stored with a value (`Content-Type` and its kin), each at most. */
export const STORED_HEADER_CHARS_MAX = 1024;

/** A client's write that would leave more siblings than this is refused (409). */
export const SIBLINGS_COUNT_DEFAULT = 100;
/** The same, counted in bytes of values: 100 siblings of 1 MiB would not fit into one message. */
export const SIBLINGS_BYTES_MAX = 32 * MIB;

/**
 * One message between nodes. Merging may bring together what up to 5 coordinators each allowed
 * (5 x 32 MiB); merges never refuse, so a message must be able to carry that.
 */
export const MESSAGE_BYTES_MAX = 192 * MIB;
/** message > list > entry > siblings > sibling > content > tags, and one to spare. */
export const MESSAGE_DEPTH_MAX = 8;

export const MEMBERS_COUNT_MAX = 1024;
/** N of 5 at most: a Durable Object has six outgoing connections at once. */
export const N_MAX = 5;
export const PARTITIONS_COUNT_MAX = 65_536;
/**
 * The shape of a Merkle tree (antientropy/merkle-tree.ts), which all members share. Sixteen inner
 * nodes of sixteen leaves: a single difference costs 2 x 16 sums to find.
 */
export const INNER_COUNT = 16;
export const LEAVES_PER_INNER = 16;
export const LEAF_COUNT = INNER_COUNT * LEAVES_PER_INNER;
export const NAMESPACES_COUNT_MAX = 10_000;
/**
 * Purges that are remembered at once, some 100 bytes each: the cluster document with them stays
 * under a megabyte. Each is over when all members have rewritten what it covers.
 */
export const PURGES_COUNT_MAX = 5000;
/** Soft ones, beside those. */
export const SOFT_PURGES_COUNT_MAX = 1000;
/** URLs of one purge of a site. */
export const URLS_COUNT_MAX = 100;
/** Tags of one purge. */
export const PURGE_TAGS_MAX = 256;

/**
 * How long, in ms, a coordinator still mints a write without a context after it has told what the
 * write would cover. Enough for a round trip and little more: what is written meanwhile stays
 * beside it.
 */
export const FRESH_MS_MAX = 1000;

/**
 * The longest time between reading something and sending it on to other replicas, in ms: above the
 * default timeout of a request. Collection waits for longer than that.
 */
export const SPREAD_MS_MAX = 3000;

/**
 * How long after a write was begun a message that asks for it may arrive, in ms: a frontend waits
 * for a minute at most; the rest allows for what a frozen replica finds in its sockets.
 */
export const REPEAT_MS_MAX = TIMEOUT_MS_MAX + 15_000;
/** Operations in one generation of what a replica remembers; see replica/done-operations.ts. */
export const OPERATIONS_COUNT_MAX = 32_768;

/** Of a site's name: with `_site.` before it, it is a namespace, of 64 characters at most. */
export const SITE_NAME_CHARS_MAX = 48;
/** Of a site's settings as JSON: they travel in the cluster document. */
export const SITE_BYTES_MAX = 8 * KIB;
/** Stored responses of one URL that differ by what `Vary` names. */
export const VARIANTS_COUNT_MAX = 64;
/** A body up to this is stored beside its head: one look-up gives both. */
export const INLINE_BYTES_MAX = 64 * KIB;
/** All bodies beside the heads of one URL; beyond it the oldest variants go. */
export const INLINE_SUM_BYTES_MAX = MIB;
/** The piece of a longer body: two in memory for each fetch that is stored. */
export const PIECE_BYTES = 512 * KIB;
