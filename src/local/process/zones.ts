/** Zones for members that are all on one machine, so that each has the same share of the ring. */

/** With fewer zones than a key has copies, two of them would stand in one. */
const ZONES_MIN = 3;

/**
 * The zone of each of so many members: as few zones as hold equally many members each, three or
 * more. With five members in three zones, the one that is alone in its zone would own a third of
 * all.
 */
export function evenZones(count: number): readonly string[] {
  let zones = Math.min(ZONES_MIN, count);
  while (count % zones !== 0) zones++;
  return Array.from({ length: count }, (_, i) => nameOf(i % zones));
}

/** As members were spread before: folders that were made then keep their ring. */
export const threeZones = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => nameOf(i % ZONES_MIN));

/** a to z, then a2, b2 and so on. */
function nameOf(index: number): string {
  const letter = String.fromCharCode("a".charCodeAt(0) + (index % 26));
  return index < 26 ? letter : letter + (Math.floor(index / 26) + 1);
}
