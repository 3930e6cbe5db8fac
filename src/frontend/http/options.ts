/**
 * The options of a request: query parameters, and members of the `Starling-Quorum` header (a
 * structured-field dictionary, RFC 9651). The query wins; within one place an explicit number wins
 * over the word `consistency`. Every option is checked on every method, whether it means anything
 * there or not; an unknown one and the same one twice are errors.
 */
import { parseDictionary, Token } from "structured-headers";
import { STALE_MS_MAX, TTL_SECONDS_MAX, TTL_SECONDS_MIN } from "../../../core/limits.ts";
import {
  CONSISTENCY_WORDS,
  QUORUM_WORDS,
  type QuorumOptions,
  type QuorumValue,
} from "../../../core/quorum-options.ts";
import { percentDecode } from "./key-path.ts";
import { Problem } from "./problems.ts";

export interface RequestOptions {
  readonly quorum: QuorumOptions;
  /** Milliseconds; undefined when the request does not say. */
  readonly ttlMs: number | undefined;
  readonly allSiblings: boolean;
  /** Values of the names that the route takes beside the options. */
  readonly others: ReadonlyMap<string, string>;
}

type Draft = { -readonly [K in keyof QuorumOptions]: QuorumOptions[K] };
type Read = (name: string, text: string) => unknown;

const WHOLE = /^(0|[1-9][0-9]{0,8})$/;
/** Seconds to the millisecond. */
const SECONDS = /^[0-9]{1,9}(\.[0-9]{1,3})?$/;

function invalid(option: string, detail: string): Problem {
  // A name may be anything that a client made up.
  return new Problem("invalid-option", detail, { extras: { option: option.slice(0, 40) } });
}

const count: Read = (name, text) => {
  if (WHOLE.test(text)) return Number(text);
  throw invalid(name, `${name} must be a whole number.`);
};

const quorumValue: Read = (name, text): QuorumValue => {
  const word = QUORUM_WORDS.find((known) => known === text);
  if (word !== undefined) return word;
  if (WHOLE.test(text)) return Number(text);
  throw invalid(name, `${name} must be a whole number or one of ${QUORUM_WORDS.join(", ")}.`);
};

const flag: Read = (name, text) => {
  if (text === "true" || text === "false") return text === "true";
  throw invalid(name, `${name} must be true or false.`);
};

const consistencyWord: Read = (name, text) => {
  const word = CONSISTENCY_WORDS.find((known) => known === text);
  if (word !== undefined) return word;
  throw invalid(name, `${name} must be one of ${CONSISTENCY_WORDS.join(", ")}.`);
};

const staleMs: Read = (name, text) => {
  const ms = Math.round(Number(text) * 1000);
  if (SECONDS.test(text) && ms <= STALE_MS_MAX) return ms;
  const range = `0 to ${STALE_MS_MAX / 1000}`;
  throw invalid(name, `${name} must be seconds from ${range}, with at most three decimal places.`);
};

const probability: Read = (name, text) => {
  const p = Number(text);
  if (/^[01](\.[0-9]{1,9})?$/.test(text) && p > 0 && p <= 1) return p;
  throw invalid(name, `${name} must be a probability above 0, such as 0.999.`);
};

/** The contract's names, what each is called inside, and how it is read. */
const OPTIONS: ReadonlyMap<string, readonly [keyof QuorumOptions, Read]> = new Map([
  ["n", ["n", count]],
  ["r", ["r", quorumValue]],
  ["w", ["w", quorumValue]],
  ["pr", ["pr", quorumValue]],
  ["pw", ["pw", quorumValue]],
  ["dw", ["dw", quorumValue]],
  ["zones", ["zones", count]],
  ["sloppy", ["sloppy", flag]],
  ["notfound_ok", ["notfoundOk", flag]],
  ["basic_quorum", ["basicQuorum", flag]],
  ["timeout", ["timeoutMs", count]],
  ["consistency", ["consistency", consistencyWord]],
  ["return_body", ["returnBody", flag]],
  ["max_stale", ["maxStaleMs", staleMs]],
  ["stale_w", ["staleW", quorumValue]],
  ["min_p", ["minP", probability]],
]);

/** Their spelling in structured fields, where keys customarily have hyphens. */
const HEADER_NAMES: ReadonlyMap<string, string> = new Map([
  ["max-stale", "max_stale"],
  ["stale-w", "stale_w"],
  ["min-p", "min_p"],
]);

/** A member's own name, whichever way it is spelt. */
const optionName = (member: string): string => HEADER_NAMES.get(member) ?? member;

/** Options that take a number with decimal places. */
const DECIMALS: ReadonlySet<string> = new Set(["max_stale", "min_p"]);

/** The options that the word `strict` decides beside r and w. */
const STRICT_NAMES = ["pr", "pw", "sloppy"] as const;

/** Cuts a query into names and values, decoded. @throws Problem for a name that comes twice */
function readQuery(query: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = decodeText(equals < 0 ? part : part.slice(0, equals), "query");
    const text = equals < 0 ? "" : decodeText(part.slice(equals + 1), name);
    if (values.has(name)) throw invalid(name, `The query has ${quoted(name)} twice.`);
    values.set(name, text);
  }
  return values;
}

/** Of a query, where a "+" stands for a space (the URL standard's form encoding). */
const decodeText = (text: string, option: string): string =>
  percentDecode(text.includes("+") ? text.replaceAll("+", " ") : text, () =>
    invalid(option, `${quoted(option)} is not UTF-8 in percent-encoding.`),
  );

const quoted = (name: string): string => JSON.stringify(name.slice(0, 40));

/** Words are tokens and numbers integers (RFC 9651, 3.3); a text in quotes is neither. */
function textOf(name: string, item: unknown): string {
  if (item instanceof Token) return item.toString();
  if (typeof item === "number" || typeof item === "boolean") return String(item);
  throw invalid(name, `${name} has a value of a kind that no option takes.`);
}

/** A member of a dictionary, or its value, up to a comma or semicolon that is in no quotes. */
const MEMBER = /(?:"(?:[^"\\]|\\.)*"|[^",;])+/y;
const PARAMETERS = /(?:;(?:"(?:[^"\\]|\\.)*"|[^",;])*)*,?/y;

/**
 * Refuses what the parser's result hides in a well-formed dictionary: of two members of one name it
 * keeps the last, and it takes `1.0` and `1` for the same number. Parameters mean nothing here.
 */
function refuseWhatIsLost(header: string): void {
  const seen = new Set<string>();
  for (let at = 0; at < header.length; at = PARAMETERS.lastIndex) {
    MEMBER.lastIndex = at;
    const [member = ""] = MEMBER.exec(header) ?? [];
    const [spelt = "", value = ""] = member.trim().split("=", 2);
    const name = optionName(spelt);
    if (seen.has(name))
      throw invalid(name, `The Starling-Quorum header has ${quoted(name)} twice.`);
    seen.add(name);
    const isWhole = DECIMALS.has(name) || !/^-?[0-9]+\./.test(value);
    if (!isWhole) throw invalid(name, `${name} must be a whole number.`);
    PARAMETERS.lastIndex = at + member.length;
    if (PARAMETERS.exec(header) === null || PARAMETERS.lastIndex === at) return;
  }
}

function readHeader(header: string): Draft {
  let dictionary: ReturnType<typeof parseDictionary>;
  try {
    dictionary = parseDictionary(header);
  } catch {
    const detail =
      "The Starling-Quorum header is not a structured-field dictionary: r=1, sloppy=?0";
    throw invalid("Starling-Quorum", detail);
  }
  refuseWhatIsLost(header);
  const draft: Record<string, unknown> = {};
  for (const [spelt, [item]] of dictionary) {
    const name = optionName(spelt);
    const option = OPTIONS.get(name);
    if (option === undefined)
      throw invalid(name, `${quoted(name)} is no option of Starling-Quorum.`);
    const isFlag = option[1] === flag;
    if (isFlag !== (typeof item === "boolean")) {
      throw invalid(name, `${name} must be ${isFlag ? "?1 or ?0" : "a number or a word"}.`);
    }
    draft[option[0]] = option[1](name, textOf(name, item));
  }
  return draft as Draft;
}

function readTtl(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (SECONDS.test(text) && seconds >= TTL_SECONDS_MIN && seconds <= TTL_SECONDS_MAX) {
    return Math.round(seconds * 1000);
  }
  const range = `${TTL_SECONDS_MIN} to ${TTL_SECONDS_MAX}`;
  throw invalid("ttl", `ttl must be seconds from ${range}, with at most three decimal places.`);
}

function readSiblings(text: string | undefined): boolean {
  if (text === undefined) return false;
  if (text === "all") return true;
  throw invalid("siblings", "siblings takes one word: all.");
}

/** Those of a request that names none: the common case, with nothing to check. */
export const noOptions: RequestOptions = {
  quorum: {},
  ttlMs: undefined,
  allSiblings: false,
  others: new Map(),
};

const noNames: ReadonlySet<string> = new Set();

/** The query's options; what is left over must be a name that the route takes. */
function readQuorum(values: ReadonlyMap<string, string>, others: ReadonlySet<string>): Draft {
  const draft: Record<string, unknown> = {};
  for (const [name, text] of values) {
    const option = OPTIONS.get(name);
    if (option !== undefined) draft[option[0]] = option[1](name, text);
    else if (name !== "ttl" && name !== "siblings" && !others.has(name)) {
      throw invalid(name, `${quoted(name)} is no option's name.`);
    }
  }
  return draft as Draft;
}

/** The query wins, option by option; its word outranks the header's numbers. */
function joinDrafts(header: Draft, query: Draft): QuorumOptions {
  const kept = { ...header };
  if (query.consistency !== undefined) {
    delete kept.r;
    // `auto` is only about reads.
    if (query.consistency !== "auto") delete kept.w;
    if (query.consistency === "strict") for (const name of STRICT_NAMES) delete kept[name];
    if (query.consistency === "local_quorum") delete kept.zones;
  }
  return { ...kept, ...query };
}

/** @throws Problem where `auto` has nothing to choose by, or `minP` comes without `auto` */
function checkChoice(quorum: QuorumOptions): QuorumOptions {
  const { consistency, maxStaleMs, minP } = quorum;
  if (consistency === "auto" && maxStaleMs === undefined && minP === undefined) {
    const detail = "consistency=auto needs max_stale or min_p: what the answer has to meet.";
    throw invalid("consistency", detail);
  }
  if (consistency === "auto" || minP === undefined) return quorum;
  throw invalid("min_p", "min_p is for consistency=auto: name both, or r itself.");
}

/** Longer queries than this are read each time. */
const KEPT_LENGTH_MAX = 64;
const KEPT_COUNT_MAX = 64;
/** Options of queries that were read lately: requests of one program ask for the same few. */
const kept = new Map<string, RequestOptions>();

function keep(query: string, options: RequestOptions): RequestOptions {
  if (query.length > KEPT_LENGTH_MAX) return options;
  if (kept.size >= KEPT_COUNT_MAX) kept.clear();
  kept.set(query, options);
  return options;
}

/**
 * @param query without the question mark
 * @param header the `Starling-Quorum` header
 * @param others names that the route takes beside the options
 * @throws Problem `invalid-option` that names the option
 */
export function readOptions(
  query: string,
  header: string | null,
  others: ReadonlySet<string> = noNames,
): RequestOptions {
  if (query === "" && header === null) return noOptions;
  if (header !== null || others !== noNames) return readAnew(query, header, others);
  return kept.get(query) ?? keep(query, readAnew(query, null, noNames));
}

function readAnew(
  query: string,
  header: string | null,
  others: ReadonlySet<string>,
): RequestOptions {
  const values = readQuery(query);
  const fromQuery = readQuorum(values, others);
  return {
    quorum: checkChoice(header === null ? fromQuery : joinDrafts(readHeader(header), fromQuery)),
    ttlMs: readTtl(values.get("ttl")),
    allSiblings: readSiblings(values.get("siblings")),
    others: values,
  };
}
