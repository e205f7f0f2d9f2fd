// The newest batches of all partitions, in memory: a mirror or consumer that keeps up reads here and not from LevelDB.
// Bounded by bytes over all partitions; the oldest batch goes first, whichever partition it is of.

const TAIL_BYTES_MAX = 2 * 1024 * 1024;

interface TailBatch {
  firstOffset: number;
  lastOffset: number;
  batch: Buffer;
}

export class Tail {
  readonly #partitions = new Map<number, TailBatch[]>();
  readonly #order: number[] = [];
  #orderHead = 0;
  #bytes = 0;

  add(partition: number, firstOffset: number, lastOffset: number, batch: Buffer): void {
    let batches = this.#partitions.get(partition);
    if (batches === undefined) {
      batches = [];
      this.#partitions.set(partition, batches);
    }
    batches.push({ firstOffset, lastOffset, batch });
    this.#order.push(partition);
    this.#bytes += batch.length;
    while (this.#bytes > TAIL_BYTES_MAX) this.#dropOldest();
  }

  /** Batches from the one that holds `offset`, or undefined when it is not in memory any longer. */
  read(partition: number, offset: number, bytesMax: number): Buffer[] | undefined {
    const batches = this.#partitions.get(partition);
    const first = batches?.[0];
    if (batches === undefined || first === undefined || offset < first.firstOffset) return undefined;
    const found: Buffer[] = [];
    let bytes = 0;
    for (let index = firstHolding(batches, offset); index < batches.length; index += 1) {
      const { batch } = batches[index]!;
      if (found.length > 0 && bytes + batch.length > bytesMax) break;
      found.push(batch);
      bytes += batch.length;
    }
    return found;
  }

  forget(partition: number): void {
    // The places in #order stay and find nothing when they are dropped.
    for (const each of this.#partitions.get(partition) ?? []) this.#bytes -= each.batch.length;
    this.#partitions.delete(partition);
  }

  #dropOldest(): void {
    const partition = this.#order[this.#orderHead]!;
    this.#orderHead += 1;
    const batches = this.#partitions.get(partition);
    const dropped = batches?.shift();
    if (dropped !== undefined) this.#bytes -= dropped.batch.length;
    if (batches?.length === 0) this.#partitions.delete(partition);
    if (this.#orderHead > 1024 && this.#orderHead * 2 > this.#order.length) {
      this.#order.splice(0, this.#orderHead);
      this.#orderHead = 0;
    }
  }
}

function firstHolding(batches: TailBatch[], offset: number): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batches[middle]!.lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
