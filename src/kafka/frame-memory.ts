// Memory for large requests, used again and again: made anew for each and collected, it cost a third of the processor's
// time that producers of large batches took, and as much memory as lay about until V8 looked. By sizes, as a request holds
// its memory alone; a request that was answered gives it back, where nobody has kept anything of it.

import { allocateAlone } from '../formats/bytes.ts';
import type { FrameSource } from '../formats/kafka/framing.ts';

/** Powers of two. What is smaller or larger is not kept. */
const BYTES_MIN = 16 * 1024;
const BYTES_MAX = 1024 * 1024;
/** Free, of all sizes. */
const FREE_BYTES_MAX = 4 * 1024 * 1024;

export class FrameMemory implements FrameSource {
  readonly #free = new Map<number, ArrayBufferLike[]>();
  /** What was given out from here and may come back. */
  readonly #lent = new WeakSet<ArrayBufferLike>();
  #freeBytes = 0;
  /** The least that was free since the last trim: nobody needed that. */
  #unusedBytes = 0;

  take(bytes: number): Buffer {
    if (bytes < BYTES_MIN || bytes > BYTES_MAX) return Buffer.allocUnsafe(bytes);
    const size = 2 ** Math.ceil(Math.log2(bytes));
    const memory = this.#kept(size) ?? allocateAlone(size).buffer;
    this.#lent.add(memory);
    return Buffer.from(memory, 0, bytes);
  }

  #kept(size: number): ArrayBufferLike | undefined {
    const kept = this.#free.get(size)?.pop();
    if (kept === undefined) return undefined;
    this.#freeBytes -= size;
    this.#unusedBytes = Math.min(this.#unusedBytes, this.#freeBytes);
    return kept;
  }

  giveBack({ buffer }: Buffer): void {
    const size = buffer.byteLength;
    if (!this.#lent.delete(buffer) || this.#freeBytes + size > FREE_BYTES_MAX) return;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
    this.#freeBytes += size;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** To be called every few seconds: lets go what nobody has needed since. */
  trim(): void {
    for (const [size, free] of this.#free) {
      while (free.length > 0 && this.#unusedBytes >= size) {
        free.pop();
        this.#unusedBytes -= size;
        this.#freeBytes -= size;
      }
    }
    this.#unusedBytes = this.#freeBytes;
  }
}
