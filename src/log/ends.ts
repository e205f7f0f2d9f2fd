// Where each partition begins and ends, found at the start from the tables' rows and from what the store holds; and what
// lies between and is missing. Offsets that the card has lost are never given again.

import type { Change, Gap, LocatedRange, Store } from '../store/store.ts';
import type { LogPartition } from './partition.ts';
import { endKey } from './topics.ts';

/** More than the write-ahead log of a segment holds of one partition. */
const TAIL_RECORDS_MAX = 2 ** 20;

type Missing = Pick<Gap, 'partition' | 'firstOffset' | 'lastOffset'>;

/**
 * Gives each partition its start and its end. `lostTail` says that what was written last is lost, and that nobody knows how
 * much: offsets leave room for it, as consumers and mirrors may have seen it.
 */
export async function placeEnds(
  store: Store,
  partitions: ReadonlyMap<number, LogPartition>,
  lostTail: string | undefined,
): Promise<void> {
  const { tables } = store;
  for await (const [key, value] of tables.entries('start/')) {
    partitions.get(numberIn(key))?.place(Number(value.toString()));
  }
  const holes = await holdAll(store, partitions);
  for await (const [key, value] of tables.entries('end/')) {
    partitions.get(numberIn(key))?.goOnAt(Number(value.toString()));
  }
  await store.addGaps(holes, 'records between segments are missing');
  if (lostTail === undefined) return;
  const tails = [...partitions.values()].map(({ number, highWatermark }) => {
    return { partition: number, firstOffset: highWatermark, lastOffset: highWatermark + TAIL_RECORDS_MAX - 1 };
  });
  for (const { partition, lastOffset } of tails) partitions.get(partition)!.goOnAt(lastOffset + 1);
  await store.addGaps(tails, `${lostTail}: records up to the end, how many is not known`);
  await store.settleTail();
}

/** Hands the partitions what the store holds of them, and returns what is missing in between. */
async function holdAll(store: Store, partitions: ReadonlyMap<number, LogPartition>): Promise<Missing[]> {
  const written: LocatedRange[] = [];
  const sealedEnds = new Map<number, number>();
  const holes: Missing[] = [];

  function follow({ partition: number, firstOffset, lastOffset }: LocatedRange): void {
    const partition = partitions.get(number);
    const next = Math.max(sealedEnds.get(number) ?? 0, partition?.logStart ?? Infinity);
    if (firstOffset > next) holes.push({ partition: number, firstOffset: next, lastOffset: firstOffset - 1 });
    sealedEnds.set(number, Math.max(lastOffset + 1, sealedEnds.get(number) ?? 0));
  }

  // Sealed ranges of a partition come in order, behind those that are not sealed.
  for await (const range of store.allRanges()) {
    partitions.get(range.partition)?.hold(range);
    if (range.isSealed) follow(range);
    else written.push(range);
  }
  for (const range of written.toSorted((a, b) => a.firstOffset - b.firstOffset)) follow(range);
  // With a damaged catalogue what is not sealed may be older than what is.
  let missing = holes;
  for (const range of written) {
    missing = missing.flatMap((hole) => (hole.partition === range.partition ? without(hole, range) : [hole]));
  }
  return missing;
}

/** What is left of a hole where the records of `found` are. */
function without(hole: Missing, found: Pick<LocatedRange, 'firstOffset' | 'lastOffset'>): Missing[] {
  const before = { ...hole, lastOffset: Math.min(hole.lastOffset, found.firstOffset - 1) };
  const behind = { ...hole, firstOffset: Math.max(hole.firstOffset, found.lastOffset + 1) };
  return [before, behind].filter(({ firstOffset, lastOffset }) => firstOffset <= lastOffset);
}

/** Keeps that offsets up to the end of a gap were given. */
export async function keepEnds(store: Store, lost: readonly Gap[]): Promise<void> {
  const changes: Change[] = [];
  for (const { partition, lastOffset } of lost) {
    const known = Number((await store.tables.get(endKey(partition)))?.toString() ?? 0);
    if (lastOffset >= known) changes.push([endKey(partition), Buffer.from(String(lastOffset + 1))]);
  }
  await store.tables.write(changes);
}

/** `start/0000002a` */
function numberIn(key: string): number {
  return parseInt(key.slice(key.indexOf('/') + 1), 16);
}
