/** Operations of one request that are at work at once. */
export const AT_ONCE_MAX = 32;

/**
 * Works through a list, some items at a time, and gives the results in the order of the items.
 *
 * @throws the error of the first work that fails; others may still be running then
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  atOnce = AT_ONCE_MAX,
): Promise<readonly Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as Item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}

/**
 * Like `inParallel`, but items with the same lane are worked on one after another, in the order of
 * the list.
 *
 * @param laneOf null: the item waits for no other one, and no other one for it
 */
export async function inLanes<Item, Result>(
  items: readonly Item[],
  { laneOf, work }: { laneOf(item: Item): string | null; work(item: Item): Promise<Result> },
  atOnce = AT_ONCE_MAX,
): Promise<readonly Result[]> {
  const lanes: number[][] = [];
  const byName = new Map<string, number[]>();
  for (const [i, item] of items.entries()) {
    const name = laneOf(item);
    const known = name === null ? undefined : byName.get(name);
    if (known !== undefined) {
      known.push(i);
      continue;
    }
    const lane = [i];
    lanes.push(lane);
    if (name !== null) byName.set(name, lane);
  }
  const results = new Array<Result>(items.length);
  const workThrough = async (lane: readonly number[]): Promise<void> => {
    for (const i of lane) results[i] = await work(items[i] as Item);
  };
  await inParallel(lanes, workThrough, atOnce);
  return results;
}
