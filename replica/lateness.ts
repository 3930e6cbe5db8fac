/**
 * Whether a coordinator hears of a write so late that another one may have been asked for it too.
 *
 * The caller waits a while before it asks the next one, and says for how long. But a message may
 * lie in a socket, or its reader may be frozen, and nobody else can say how long that took. So the
 * caller tells **when** it asked, in the time of the callee's own life: each says in its heartbeats
 * what that time is, and whoever got such a word knows that at least so much has passed since
 * (src/node/knowledge/peer-times.ts). So the caller names the true time or an earlier one: a write
 * may seem late that is not, never the other way round. Wall clocks have no part in it: two of them
 * that are a second apart would make a write that is a second late look new, and it would be
 * carried out over what was written meanwhile.
 *
 * Where a caller has heard no heartbeat, wall clocks are all there is: on Workers, where all
 * machines share one time, and for the first moments of a process.
 */
import { REPEAT_MS_MAX } from "../core/limits.ts";
import type { RequestOf } from "../core/messages.ts";
import type { LifeMillis, Millis, WallMillis } from "../core/time.ts";

type Coordinate = RequestOf<"coordinate">;
type Asked = Pick<Coordinate, "freshUntil" | "askedAt" | "freshMs">;

/** What time it is at the coordinator. */
export interface Moment {
  readonly wall: WallMillis;
  readonly life: LifeMillis;
}

/** No context says what it covers, nor does a condition guard it. */
const isPlain = ({ covers, ifMatch, ifNoneMatch, unmodifiedSince }: Coordinate): boolean =>
  covers === null && ifMatch.length + ifNoneMatch.length + unmodifiedSince === 0;

/** Whether the caller may have asked somebody else by now. */
export function isLate({ freshUntil, askedAt = 0, freshMs = 0 }: Asked, now: Moment): boolean {
  if (askedAt === 0) return freshUntil > 0 && now.wall > freshUntil;
  return !isOfThisLife({ askedAt }, now) || now.life > askedAt + freshMs;
}

/**
 * Whether it is known that it was asked of this very life of the process, not of an earlier one, or
 * of another process under its name.
 */
export const isOfThisLife = (
  { askedAt = 0 }: Pick<Asked, "askedAt">,
  { life }: Pick<Moment, "life">,
): boolean => askedAt > 0 && askedAt <= life && life - askedAt <= REPEAT_MS_MAX;

/** Whether another may have been asked before, or since: then there may be a version already. */
export const mayBeRepeated = (request: Coordinate, now: Moment): boolean =>
  request.isRetry || isLate(request, now);

/** Whether what the write covers would be newer than its client can have meant. */
export const isOverdue = (request: Coordinate, now: Moment): boolean =>
  isPlain(request) &&
  (request.freshUntil > 0 || (request.askedAt ?? 0) > 0) &&
  mayBeRepeated(request, now);

/** The request after a wait here, in ms; one that says when it was asked stays as it is. */
export const agedBy = (request: Coordinate, waitedMs: Millis): Coordinate =>
  waitedMs <= 0 || (request.askedAt ?? 0) > 0
    ? request
    : { ...request, ageMs: Math.ceil(request.ageMs + waitedMs) };

/**
 * How long ago at most the client began the write, in ms, with the time that the message took where
 * that is known. What was asked of an earlier life of this process may be of any age.
 */
export function ageOf({ ageMs, askedAt = 0 }: Coordinate, { life }: Moment): number {
  if (askedAt === 0) return ageMs;
  if (!isOfThisLife({ askedAt }, { life })) return REPEAT_MS_MAX;
  return Math.min(REPEAT_MS_MAX, ageMs + life - askedAt);
}
