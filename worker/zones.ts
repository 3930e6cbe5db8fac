/**
 * Zones that are location hints of Durable Objects, and the one nearest to a frontend. A frontend
 * runs close to its clients, but the platform does not say where; so the place of the first client
 * that an isolate serves stands for the isolate's own. It decides only which replicas count as near
 * (`local_quorum`), never what is promised.
 */

/** Rough middles of the regions, in degrees; the names are Cloudflare's. */
const PLACES: ReadonlyMap<
  DurableObjectLocationHint,
  readonly [latitude: number, longitude: number]
> = new Map([
  ["wnam", [40, -120]],
  ["enam", [40, -77]],
  ["sam", [-23, -47]],
  ["weur", [50, 4]],
  ["eeur", [50, 21]],
  ["apac", [22, 114]],
  ["oc", [-33, 150]],
  ["afr", [-26, 28]],
  ["me", [25, 52]],
]);

/** The location hint that a zone's name is, if it is one; any other name is a name. */
export function locationHintOf(zone: string): DurableObjectLocationHint | undefined {
  return [...PLACES.keys()].find((hint) => hint === zone);
}

/** The cosine of the angle between two places on a sphere: the greater, the nearer. */
function nearness(a: readonly [number, number], b: readonly [number, number]): number {
  const [lat1, lon1, lat2, lon2] = [...a, ...b].map((degrees) => (degrees * Math.PI) / 180);
  const [p = 0, l = 0, q = 0, m = 0] = [lat1, lon1, lat2, lon2];
  return Math.sin(p) * Math.sin(q) + Math.cos(p) * Math.cos(q) * Math.cos(l - m);
}

/**
 * The zone of a ring that lies nearest to a place; empty when the place is unknown or no zone of
 * the ring is a location hint.
 */
export function nearestZone(
  zones: Iterable<string>,
  place: { readonly latitude?: unknown; readonly longitude?: unknown } | undefined,
): string {
  const here = [Number.parseFloat(`${place?.latitude}`), Number.parseFloat(`${place?.longitude}`)];
  const [latitude = Number.NaN, longitude = Number.NaN] = here;
  let nearest = "";
  let most = Number.NEGATIVE_INFINITY;
  for (const zone of zones) {
    const hint = locationHintOf(zone);
    const at = hint === undefined ? undefined : PLACES.get(hint);
    if (at === undefined) continue;
    const near = nearness([latitude, longitude], at);
    if (near > most) [nearest, most] = [zone, near];
  }
  return nearest;
}
