/**
 * The dates of HTTP (RFC 9110, 5.6.7): IMF-fixdate, and the two obsolete forms that a recipient
 * must still read. Nothing else is a date: an `Expires` that is not one means "already stale".
 */
import type { Millis, WallMillis } from "../../core/time.ts";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const DAY = `(?:${DAYS.join("|")})`;
const LONG_DAY = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)";
const MONTH = `(${MONTHS.join("|")})`;
const TIME = "(\\d{2}):(\\d{2}):(\\d{2})";

const IMF = new RegExp(`^${DAY}, (\\d{2}) ${MONTH} (\\d{4}) ${TIME} GMT$`, "i");
const RFC850 = new RegExp(`^${LONG_DAY}, (\\d{2})-${MONTH}-(\\d{2}) ${TIME} GMT$`, "i");
const ASCTIME = new RegExp(`^${DAY} ${MONTH} (\\d{2}| \\d) ${TIME} (\\d{4})$`, "i");

const DAY_MS = 86_400_000;

/** Days since 1970-01-01 of a date in the Gregorian calendar (Hinnant's `days_from_civil`). */
function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const days = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear;
  return era * 146_097 + days - 719_468;
}

interface Parts {
  readonly year: number;
  readonly month: string;
  readonly day: string;
  readonly time: readonly (string | undefined)[];
}

function millisOf({ year, month, day, time }: Parts): Millis | null {
  const monthNumber = MONTHS.indexOf(month.toLowerCase()) + 1;
  const dayNumber = Number(day);
  const [hours = 0, minutes = 0, seconds = 0] = time.map(Number);
  // A leap second is a second (RFC 9110, 5.6.7).
  if (dayNumber < 1 || dayNumber > 31 || hours > 23 || minutes > 59 || seconds > 60) return null;
  const days = daysOf(year, monthNumber, dayNumber);
  return days * DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

/** A two-digit year that seems more than 50 years ahead is one of the past. */
function fullYear(twoDigits: number, now: WallMillis): number {
  const thisYear = 1970 + Math.floor(now / (365.2425 * DAY_MS));
  const guess = Math.floor(thisYear / 100) * 100 + twoDigits;
  return guess > thisYear + 50 ? guess - 100 : guess;
}

/** @returns null when the text is no date of HTTP */
export function parseHttpDate(text: string | null, now: WallMillis): Millis | null {
  if (text === null) return null;
  const imf = IMF.exec(text);
  if (imf !== null) {
    const [, day = "", month = "", year = ""] = imf;
    return millisOf({ year: Number(year), month, day, time: imf.slice(4, 7) });
  }
  const rfc850 = RFC850.exec(text);
  if (rfc850 !== null) {
    const [, day = "", month = "", year = ""] = rfc850;
    return millisOf({ year: fullYear(Number(year), now), month, day, time: rfc850.slice(4, 7) });
  }
  const ascii = ASCTIME.exec(text);
  if (ascii === null) return null;
  const [, month = "", day = ""] = ascii;
  return millisOf({ year: Number(ascii[6]), month, day, time: ascii.slice(3, 6) });
}
