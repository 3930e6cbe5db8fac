/**
 * The clock of an isolate. The platform has one clock only: `performance.now()` is the wall clock
 * less a constant, and both stand still between two events from outside. So a node's own time is
 * what the wall clock goes on by, without its steps back (see `hostClock`); nothing that is counted
 * so outlives the isolate. Alarms are set in wall time, as the platform wants them: an object may
 * sleep for days in between.
 *
 * One for the whole isolate, because its requests share since when each member is silent.
 */
import { hostClock } from "../src/driver/host-clock.ts";

export const platformNow = hostClock(
  () => Date.now(),
  () => Date.now(),
);
