// The latest offset of each key, in bounded memory: keys by 128 bits of their SHA-1, so that no two keys are taken for one,
// by chance or by somebody's will. Open addressing over flat arrays, 24 bytes a slot.

import { hash } from 'node:crypto';

const LOAD_MAX = 0.75;
const WORDS = 4;
/** 6 MiB, for 196,608 keys. */
const SLOTS = 2 ** 18;

export interface Latest {
  offset: number;
  /** There was another record of the key before. */
  isRepeated: boolean;
}

export class KeyMap {
  readonly #slots: number;
  readonly #hashes: Uint32Array;
  // 0: free; offset + 1, negative when the key was there before.
  readonly #values: Float64Array;
  #count = 0;

  /** `slots` is a power of two. */
  constructor(slots = SLOTS) {
    this.#slots = slots;
    this.#hashes = new Uint32Array(slots * WORDS);
    this.#values = new Float64Array(slots);
  }

  /** Offsets of a key come in order. False when there is no room for one more key. */
  put(digest: Buffer, offset: number): boolean {
    const slot = this.#find(digest);
    if (this.#values[slot] !== 0) {
      this.#values[slot] = -(offset + 1);
      return true;
    }
    if (this.#count >= this.#slots * LOAD_MAX) return false;
    this.#count += 1;
    this.#values[slot] = offset + 1;
    for (let word = 0; word < WORDS; word += 1) this.#hashes[slot * WORDS + word] = digest.readUInt32LE(word * 4);
    return true;
  }

  get(digest: Buffer): Latest | undefined {
    const value = this.#values[this.#find(digest)]!;
    return value === 0 ? undefined : { offset: Math.abs(value) - 1, isRepeated: value < 0 };
  }

  clear(): void {
    this.#values.fill(0);
    this.#count = 0;
  }

  /** The slot of the key, or the free one where it would be. */
  #find(digest: Buffer): number {
    for (let slot = digest.readUInt32LE(0) & (this.#slots - 1); ; slot = (slot + 1) & (this.#slots - 1)) {
      if (this.#values[slot] === 0 || this.#isAt(slot, digest)) return slot;
    }
  }

  #isAt(slot: number, digest: Buffer): boolean {
    for (let word = 0; word < WORDS; word += 1) {
      if (this.#hashes[slot * WORDS + word] !== digest.readUInt32LE(word * 4)) return false;
    }
    return true;
  }
}

export function digestOf(key: Buffer): Buffer {
  return hash('sha1', key, 'buffer');
}

/** Which of `classes`, a power of two, a key is in: by bits that the slot is not chosen by. */
export function classOf(digest: Buffer, classes: number): number {
  return digest.readUInt32LE(16) & (classes - 1);
}
