/** Delays to draw from: fitted distributions, and what was measured. */
import { assert } from "../../core/assert.ts";
import type { Prng } from "../../core/prng.ts";
import type { Delay } from "../../src/staleness/wars.ts";

/** Uniform in (0, 1]. */
const uniform = (prng: Prng): number => (prng.u32() + 1) / 2 ** 32;

/** Pareto's distribution. @param scale its least value, in ms @param shape its tail, above 0 */
export function pareto(scale: number, shape: number): Delay {
  assert(scale > 0 && shape > 0, "a Pareto distribution has a scale and a shape");
  return (prng) => scale / uniform(prng) ** (1 / shape);
}

/** @param rate per ms; the mean is its inverse */
export function exponential(rate: number): Delay {
  assert(rate > 0, "a rate is above 0");
  return (prng) => -Math.log(uniform(prng)) / rate;
}

/** One of two, the first with this share. */
export const mixture =
  (share: number, first: Delay, second: Delay): Delay =>
  (prng) =>
    uniform(prng) <= share ? first(prng) : second(prng);

export const constant =
  (ms: number): Delay =>
  () =>
    ms;

/** What was measured, each as likely as the others. @param samples ms, at least one */
export function measured(samples: readonly number[]): Delay {
  assert(samples.length > 0, "something was measured");
  return (prng) => samples[prng.below(samples.length)] as number;
}

/** A part of a delay: of a round trip, one of its ways. */
export const scaled =
  (delay: Delay, factor: number): Delay =>
  (prng) =>
    delay(prng) * factor;
