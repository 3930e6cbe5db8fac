/** Operations of one request that are at work at once. */
export const AT_ONCE_MAX = 32;

/**
 * Works through a list, some items at a time, and gives the results in the order of the items.
 *
 * @throws what the first work to fail throws; others may still be running then
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
