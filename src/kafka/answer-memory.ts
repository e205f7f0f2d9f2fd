// Memory for what answers hold of the log, used again and again. Made anew for each answer and collected, it cost half of
// the processor's time that consumers took: the collector comes after every few megabytes. An answer takes what it needs
// out of blocks, and gives them back when it was written. Blocks that were not needed for a while are let go.

import { allocateAlone, type Allocate } from '../formats/bytes.ts';

/** Four runs of blocks of a table, or what a consumer of Java asks for of one partition. */
const BLOCK_BYTES = 1024 * 1024;
/** Up to this an answer's memory is its own: answers to consumers that keep up hold less, and shall not hold a block each. */
const ALONE_BYTES_MAX = 64 * 1024;
/** Two answers of a consumer that catches up, kept for the next. */
const FREE_MAX = 10;
/** What is taken begins so, as what Node gives does. */
const ALIGNMENT = 8;

export interface Loan {
  readonly allocate: Allocate;
  /** Something else that ends with it: called when this is given back. */
  with(giveBack: () => void): void;
  /** What was taken is another's from now on. More may be taken. */
  giveBack(): void;
}

export class AnswerMemory {
  readonly #free: Buffer[] = [];
  /** Blocks that nobody has needed since the last trim. */
  #unused = 0;

  lend(): Loan {
    const blocks: Buffer[] = [];
    let others: (() => void)[] = [];
    let usedBytes = BLOCK_BYTES;
    return {
      with: (giveBack) => void others.push(giveBack),
      allocate: (bytes) => {
        if (bytes <= ALONE_BYTES_MAX || bytes > BLOCK_BYTES) return allocateAlone(bytes);
        if (usedBytes + bytes > BLOCK_BYTES) {
          blocks.push(this.#take());
          usedBytes = 0;
        }
        const start = usedBytes;
        usedBytes += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
        return blocks.at(-1)!.subarray(start, start + bytes);
      },
      giveBack: () => {
        for (const block of blocks) if (this.#free.length < FREE_MAX) this.#free.push(block);
        blocks.length = 0;
        usedBytes = BLOCK_BYTES;
        for (const giveBack of others) giveBack();
        others = [];
      },
    };
  }

  /** To be called every few seconds. */
  trim(): void {
    this.#free.splice(0, this.#unused);
    this.#unused = this.#free.length;
  }

  get freeBytes(): number {
    return this.#free.length * BLOCK_BYTES;
  }

  #take(): Buffer {
    const block = this.#free.pop() ?? allocateAlone(BLOCK_BYTES);
    this.#unused = Math.min(this.#unused, this.#free.length);
    return block;
  }
}
