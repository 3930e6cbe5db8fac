/** Dates in headers (RFC 9110, 5.6.7). */
import type { WallMillis } from "../../../core/time.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"].concat([
  "Jul",
  "Aug",
  "Sep",
  "Oct",
  "Nov",
  "Dec",
]);
const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = "(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)";

/** The form of today, and the two obsolete ones that a recipient must take. */
const FORMS = [
  new RegExp(`^${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<short>\\d\\d) ${TIME} GMT$`),
  new RegExp(`^${DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];

/** A two-digit year that seems more than 50 years ahead is one of the century before. */
function yearOf(short: number, now: WallMillis): number {
  const thisYear = new Date(now).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + short;
  return year > thisYear + 50 ? year - 100 : year;
}

/**
 * What a header's date says, in ms since 1970; NaN when it is absent or malformed: the
 * caller then goes on as if it had not been sent (RFC 9110, 13.1.3 and 13.1.4).
 */
export function parseHttpDate(text: string | null, now: WallMillis): WallMillis {
  const form = text === null ? undefined : FORMS.find((known) => known.test(text));
  const parts = form?.exec(text ?? "")?.groups;
  if (parts === undefined) return Number.NaN;
  const { month = "", year, short } = parts;
  const [day, hour, minute, second] = [
    parts["day"],
    parts["hour"],
    parts["minute"],
    parts["second"],
  ].map(Number) as [number, number, number, number];
  const whole = year === undefined ? yearOf(Number(short), now) : Number(year);
  const date = new Date(0);
  date.setUTCFullYear(whole, MONTHS.indexOf(month), day);
  // A day that its month does not have would fall into the next month.
  if (date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 60) return Number.NaN;
  return date.setUTCHours(hour, minute, second);
}

/** Dates that were asked for lately, by the last bits of their second. */
const DATES_COUNT = 1024;
const seconds = new Float64Array(DATES_COUNT).fill(-1);
const dates = new Array<string>(DATES_COUNT).fill("");

/** The date of an HTTP header, which has whole seconds: many answers have the same. */
export function httpDate(ms: WallMillis): string {
  const second = Math.floor(ms / 1000);
  const at = second % DATES_COUNT;
  if (seconds[at] !== second) {
    seconds[at] = second;
    dates[at] = new Date(ms).toUTCString();
  }
  return dates[at] as string;
}
