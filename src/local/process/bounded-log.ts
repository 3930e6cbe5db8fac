/**
 * A log whose lines others can cause, as often as they like: a peer that sends garbage on one
 * connection after the other must not fill the disk with what is said of it.
 */
import type { Log, LogFields } from "./logger.ts";

export interface LogBounds {
  /** How many lines of one event about one peer are written in one period. */
  readonly linesMax: number;
  readonly periodMs: number;
}

const logBounds: LogBounds = { linesMax: 10, periodMs: 60_000 };

interface Period {
  count: number;
  leftOutCount: number;
  last: LogFields;
}

/**
 * Lines beyond the bounds are left out. When the period ends the last of them is written, with
 * their number in `leftOut`: so the newest line of an event is never older than a period.
 */
export function boundedLog(log: Log, { linesMax, periodMs }: LogBounds = logBounds): Log {
  const periods = new Map<string, Period>();
  const begin = (event: string, key: string): Period => {
    const period: Period = { count: 0, leftOutCount: 0, last: {} };
    periods.set(key, period);
    setTimeout(() => {
      periods.delete(key);
      if (period.leftOutCount > 0) log(event, { ...period.last, leftOut: period.leftOutCount });
    }, periodMs).unref();
    return period;
  };
  return (event, fields = {}) => {
    const key = `${event} ${fields["peer"] ?? ""}`;
    const period = periods.get(key) ?? begin(event, key);
    if (period.count < linesMax) {
      period.count++;
      log(event, fields);
    } else {
      period.leftOutCount++;
      period.last = fields;
    }
  };
}
