// What of a partition is decided. While a transaction is open, readers of committed records stop at its first offset (the
// last stable offset); what was aborted lies between records that count, and they skip it. Everything here is as of the
// last commit: what is in flight has not happened yet.
//
//   mark  aborted/<partition number>/<offset of the marker>   "<producer id> <first offset>", in the commit of the marker

import type { Partition } from './log.ts';
import type { Producers } from './producers.ts';

/** A transaction that was aborted: all transactional batches of the producer from `firstOffset` to its marker. */
export interface AbortedTransaction {
  producerId: number;
  firstOffset: number;
  /** That of the marker. */
  lastOffset: number;
}

interface Entry extends AbortedTransaction {
  /** No transaction that ended later has begun before this. */
  stableOffset: number;
}

export const ABORTED = 'aborted/';

export class Stability {
  readonly #number: number;
  readonly #open = new Map<number, number>();
  // In order of their markers; the same by producer.
  #aborted: Entry[] = [];
  #byProducer = new Map<number, Entry[]>();

  /** `number` is the store's, of the partition. */
  constructor(number: number) {
    this.#number = number;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get abortedCount(): number {
    return this.#aborted.length;
  }

  /** First offset of the oldest transaction that is open; Infinity when none is. */
  get firstOpen(): number {
    let first = Infinity;
    for (const offset of this.#open.values()) first = Math.min(first, offset);
    return first;
  }

  /** A batch of a transaction lies at `offset`. */
  opened(producerId: number, offset: number): void {
    if (!this.#open.has(producerId)) this.#open.set(producerId, offset);
  }

  /** The marker of a transaction lies at `offset`. */
  ended(producerId: number, offset: number, isCommit: boolean): void {
    const firstOffset = this.#open.get(producerId);
    if (firstOffset === undefined) return;
    this.#open.delete(producerId);
    if (isCommit) return;
    const stableOffset = Math.min(offset + 1, this.firstOpen);
    this.#add({ producerId, firstOffset, lastOffset: offset, stableOffset });
  }

  #add(entry: Entry): void {
    this.#aborted.push(entry);
    const own = this.#byProducer.get(entry.producerId);
    if (own === undefined) this.#byProducer.set(entry.producerId, [entry]);
    else own.push(entry);
  }

  /** At the start, after all that is open was told: what marks say was aborted. */
  restore(found: AbortedTransaction[]): void {
    let stable = this.firstOpen;
    const entries: Entry[] = [];
    for (const each of found.toSorted((a, b) => b.lastOffset - a.lastOffset)) {
      entries.push({ ...each, stableOffset: Math.min(stable, each.lastOffset + 1) });
      stable = Math.min(stable, each.firstOffset);
    }
    for (const entry of entries.toReversed()) this.#add(entry);
  }

  /** Those that have a record from `from` up to, not including, `to`; in order of their markers. */
  abortedBetween(from: number, to: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = [];
    for (let index = firstEndingAt(this.#aborted, from); index < this.#aborted.length; index += 1) {
      const { producerId, firstOffset, lastOffset, stableOffset } = this.#aborted[index]!;
      if (firstOffset < to) found.push({ producerId, firstOffset, lastOffset });
      if (stableOffset >= to) break;
    }
    return found;
  }

  /** Whether a transactional batch of this producer at `offset` was aborted. */
  isAborted(producerId: number, offset: number): boolean {
    const own = this.#byProducer.get(producerId);
    const entry = own?.[firstEndingAt(own, offset)];
    return entry !== undefined && entry.firstOffset <= offset;
  }

  /** Forgets what ended below `logStart`; returns the marks to remove. */
  prune(logStart: number): string[] {
    const count = firstEndingAt(this.#aborted, logStart);
    if (count === 0) return [];
    const gone = this.#aborted.slice(0, count);
    const kept = this.#aborted.slice(count);
    this.#aborted = [];
    this.#byProducer = new Map();
    for (const entry of kept) this.#add(entry);
    return gone.map(({ lastOffset }) => abortedKey(this.#number, lastOffset));
  }

  /** The marks of all that was aborted here. */
  keys(): string[] {
    return this.#aborted.map(({ lastOffset }) => abortedKey(this.#number, lastOffset));
  }
}

export function abortedKey(partition: number, lastOffset: number): string {
  return `${ABORTED}${partition}/${lastOffset}`;
}

export function encodeAborted({ producerId, firstOffset }: Omit<AbortedTransaction, 'lastOffset'>): Buffer {
  return Buffer.from(`${producerId} ${firstOffset}`);
}

/** What is open and what was aborted in each partition, as it lies on the card. Returns marks that are of no partition. */
export function restoreStability(
  partitions: Iterable<{ number: number; stability: Stability }>,
  producers: Producers,
  marks: Iterable<[key: string, value: Buffer]>,
): string[] {
  const aborted = readAborted(marks);
  const open = Map.groupBy(producers.open(), ({ partition }) => partition);
  for (const { number, stability } of partitions) {
    for (const { producerId, transactionStart } of open.get(number) ?? []) {
      stability.opened(producerId, transactionStart);
    }
    stability.restore(aborted.get(number) ?? []);
    aborted.delete(number);
    open.delete(number);
  }
  // Nobody could ever end these.
  for (const number of open.keys()) producers.forget(number);
  // Their topics went, and a crash came before these did.
  return [...aborted].flatMap(([number, gone]) => gone.map(({ lastOffset }) => abortedKey(number, lastOffset)));
}

/** A transaction that is open in a partition. */
export interface OpenTransaction {
  partition: Partition;
  producerId: number;
  producerEpoch: number;
  firstOffset: number;
}

export function openIn(partitions: ReadonlyMap<number, Partition>, producers: Producers): OpenTransaction[] {
  return producers.open().flatMap(({ partition: number, producerId, producerEpoch, transactionStart }) => {
    const partition = partitions.get(number);
    return partition === undefined ? [] : [{ partition, producerId, producerEpoch, firstOffset: transactionStart }];
  });
}

export function countIn(partitions: Iterable<{ stability: Stability }>): { open: number; aborted: number } {
  let [open, aborted] = [0, 0];
  for (const { stability } of partitions) {
    open += stability.openCount;
    aborted += stability.abortedCount;
  }
  return { open, aborted };
}

/** What the marks say, by partition number. */
function readAborted(marks: Iterable<[key: string, value: Buffer]>): Map<number, AbortedTransaction[]> {
  const found = new Map<number, AbortedTransaction[]>();
  for (const [key, value] of marks) {
    const [, partition, lastOffset] = key.split('/').map(Number);
    const [producerId, firstOffset] = value.toString().split(' ').map(Number);
    const entry = { producerId: producerId!, firstOffset: firstOffset!, lastOffset: lastOffset! };
    const list = found.get(partition!);
    if (list === undefined) found.set(partition!, [entry]);
    else list.push(entry);
  }
  return found;
}

/** Index of the first one whose marker lies at `offset` or behind it. */
function firstEndingAt(entries: readonly AbortedTransaction[], offset: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
