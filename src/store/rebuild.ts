// A segment made anew from what another one's folder still holds. LevelDB puts the batches in order; what contradicts
// itself or others is left out.

import { rm } from 'node:fs/promises';
import {
  BATCHES_END,
  batchKey,
  COMMIT_KEY,
  COMPLETE_KEY,
  decodeBatchKey,
  encodeCommitNumber,
  FULL_KEY,
  MARKS_END,
  MARKS_START,
} from './keys.ts';
import type { LevelOperation } from './level.ts';
import { salvage, type Found } from './salvage.ts';
import { Segment, type Describe } from './segment.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Of blocks with a wrong checksum; what is beyond is left out. */
const DOUBTFUL_BYTES_MAX = 8 * 1024 * 1024;

export interface Rebuilt {
  isAny: boolean;
  /** Batches of which only the key is left, as far as it can be believed: the last offset of each partition's last one. */
  broken: Map<number, number>;
  /** There may have been batches of which not even the key is left. */
  isBlind: boolean;
}

interface Small {
  key: Buffer;
  value: Buffer | undefined;
  sequence: number;
}

/**
 * Makes segment `id` in the folder `to` from what is left in `from`; on the card on return. When nothing is left there is
 * no folder `to`.
 */
export async function rebuildSegment(
  id: number,
  from: string,
  to: string,
  writeBufferBytes: number,
  describe: Describe,
): Promise<Rebuilt> {
  await rm(to, { recursive: true, force: true });
  const segment = await Segment.create(id, to, writeBufferBytes);
  const rebuilding = new Rebuilding(segment, describe);
  let isBlind: boolean;
  try {
    isBlind = await salvage(from, (found) => rebuilding.take(found));
    await rebuilding.finish();
  } finally {
    await segment.close();
  }
  if (rebuilding.isEmpty) await rm(to, { recursive: true });
  return { isAny: !rebuilding.isEmpty, broken: rebuilding.broken, isBlind };
}

class Rebuilding {
  isEmpty = true;
  readonly broken = new Map<number, number>();
  readonly #segment: Segment;
  readonly #describe: Describe;
  readonly #small = new Map<string, Small>();
  #chunk: LevelOperation[] = [];
  #chunkBytes = 0;
  #doubtful: { key: Buffer; value: Buffer }[] = [];
  #doubtfulBytes = 0;

  constructor(segment: Segment, describe: Describe) {
    this.#segment = segment;
    this.#describe = describe;
  }

  async take({ key, value, sequence, isSure }: Found): Promise<void> {
    if (key.compare(BATCHES_END) >= 0) {
      if (isSure) this.#takeSmall(key, value, sequence);
    } else if (value !== undefined && key.length === 12) {
      if (!this.#isWhole(key, value)) this.#noteBroken(key);
      else if (isSure) await this.#put(key, value);
      else this.#doubt(key, value);
    }
  }

  #noteBroken(key: Buffer): void {
    const { partition, lastOffset } = decodeBatchKey(key);
    this.broken.set(partition, Math.max(lastOffset, this.broken.get(partition) ?? 0));
  }

  /** Marks and the like: the latest of each counts. */
  #takeSmall(key: Buffer, value: Buffer | undefined, sequence: number): void {
    const name = key.toString('latin1');
    if ((this.#small.get(name)?.sequence ?? -1) > sequence) return;
    this.#small.set(name, { key: Buffer.from(key), value: value && Buffer.from(value), sequence });
  }

  #isWhole(key: Buffer, value: Buffer): boolean {
    try {
      return this.#describe(value).lastOffset === decodeBatchKey(key).lastOffset;
    } catch {
      return false;
    }
  }

  #doubt(key: Buffer, value: Buffer): void {
    this.#doubtfulBytes += value.length;
    if (this.#doubtfulBytes > DOUBTFUL_BYTES_MAX) return;
    this.#doubtful.push({ key: Buffer.from(key), value: Buffer.from(value) });
  }

  async #put(key: Buffer, value: Buffer): Promise<void> {
    this.isEmpty = false;
    this.#chunk.push({ type: 'put', key, value });
    this.#chunkBytes += value.length;
    if (this.#chunkBytes >= CHUNK_BYTES) await this.#write();
  }

  async #write(): Promise<void> {
    if (this.#chunk.length > 0) await this.#segment.write(this.#chunk);
    this.#chunk = [];
    this.#chunkBytes = 0;
  }

  async finish(): Promise<void> {
    await this.#write();
    for (const { key, value } of this.#doubtful) {
      if (!(await this.#fits(key, value))) continue;
      await this.#put(key, value);
      await this.#write();
    }
    let commit: Buffer = encodeCommitNumber(0);
    for (const { key, value } of this.#small.values()) {
      if (value === undefined) continue;
      if (key.equals(COMMIT_KEY)) commit = value;
      else if (isMark(key) || key.equals(COMPLETE_KEY) || key.equals(FULL_KEY)) await this.#put(key, value);
    }
    if (this.isEmpty) return;
    await this.#put(COMMIT_KEY, commit);
    await this.#write();
    await this.#segment.flush();
  }

  /** A batch of a damaged block is put back only where nothing else lies. */
  async #fits(key: Buffer, value: Buffer): Promise<boolean> {
    const { partition, lastOffset } = decodeBatchKey(key);
    const { firstOffset } = this.#describe(value);
    if (!batchKey(partition, lastOffset).equals(key)) return false;
    // LevelDB can't be asked while it has nothing.
    if (this.isEmpty) return true;
    const [next] = await this.#segment.read(partition, firstOffset, 1);
    return next === undefined || this.#describe(next).firstOffset > lastOffset;
  }
}

function isMark(key: Buffer): boolean {
  return key.compare(MARKS_START) >= 0 && key.compare(MARKS_END) < 0;
}
