// The newest batches of all partitions, in memory: a mirror or consumer that keeps up reads here and not from LevelDB.
// They are copied into one ring, the oldest is overwritten whichever partition it is of. Kept as they came, batches of a few
// hundred bytes would each hold on to the larger block of memory that they were cut from.

import { allocateAlone } from '../formats/bytes.ts';

const RING_BYTES = 2 * 1024 * 1024;
const DROPPED_MAX = 1024;

/** `start` counts all bytes ever written to the ring; its place is the remainder. No batch reaches over the ring's end. */
interface Kept {
  partition: number;
  firstOffset: number;
  lastOffset: number;
  start: number;
  length: number;
}

export class Tail {
  readonly #ringBytes: number;
  readonly #partitions = new Map<number, Kept[]>();
  readonly #order: Kept[] = [];
  #ring: Buffer | undefined;
  #orderHead = 0;
  #end = 0;

  constructor(ringBytes = RING_BYTES) {
    this.#ringBytes = ringBytes;
  }

  /** Keeps a copy. Batches of a partition come in order and without a gap. */
  add(partition: number, firstOffset: number, lastOffset: number, batch: Buffer): void {
    const { length } = batch;
    // What is kept of a partition has no gap either.
    if (length > this.#ringBytes) return this.forget(partition);
    const start = this.#makeRoom(length);
    // Not from Node's pool, and only when there is something to keep.
    this.#ring ??= Buffer.allocUnsafeSlow(this.#ringBytes);
    batch.copy(this.#ring, start % this.#ringBytes);
    const kept = { partition, firstOffset, lastOffset, start, length };
    this.#order.push(kept);
    const batches = this.#partitions.get(partition);
    if (batches === undefined) this.#partitions.set(partition, [kept]);
    else batches.push(kept);
  }

  /** Batches from the one that holds `offset`, the caller's own copies; undefined when it is not in memory any longer. */
  read(partition: number, offset: number, bytesMax: number, allocate = allocateAlone): Buffer[] | undefined {
    const batches = this.#partitions.get(partition);
    const first = batches?.[0];
    if (batches === undefined || first === undefined || offset < first.firstOffset) return undefined;
    const from = firstHolding(batches, offset);
    let to = from;
    let bytes = 0;
    for (; to < batches.length; to += 1) {
      const { length } = batches[to]!;
      if (to > from && bytes + length > bytesMax) break;
      bytes += length;
    }
    return this.#copies(batches.slice(from, to), allocate(bytes));
  }

  forget(partition: number): void {
    // Their places in #order stay until they are overwritten.
    this.#partitions.delete(partition);
  }

  #copies(batches: Kept[], copy: Buffer): Buffer[] {
    let at = 0;
    return batches.map(({ start, length }) => {
      const place = start % this.#ringBytes;
      this.#ring!.copy(copy, at, place, place + length);
      at += length;
      return copy.subarray(at - length, at);
    });
  }

  /** Where the next batch begins, with nothing of worth in its place. */
  #makeRoom(length: number): number {
    const left = this.#ringBytes - (this.#end % this.#ringBytes);
    const start = length <= left ? this.#end : this.#end + left;
    this.#end = start + length;
    while (this.#orderHead < this.#order.length && this.#order[this.#orderHead]!.start < this.#end - this.#ringBytes) {
      this.#dropOldest();
    }
    return start;
  }

  #dropOldest(): void {
    const dropped = this.#order[this.#orderHead]!;
    this.#orderHead += 1;
    const batches = this.#partitions.get(dropped.partition);
    if (batches?.[0] === dropped) {
      batches.shift();
      if (batches.length === 0) this.#partitions.delete(dropped.partition);
    }
    if (this.#orderHead > DROPPED_MAX && this.#orderHead * 2 > this.#order.length) {
      this.#order.splice(0, this.#orderHead);
      this.#orderHead = 0;
    }
  }
}

function firstHolding(batches: Kept[], offset: number): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batches[middle]!.lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
