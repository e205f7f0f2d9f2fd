// One segment: a small LevelDB folder over all partitions. It is written until it is full, then sealed, then only read,
// and in the end removed whole. A segment that is only read is opened when it is needed (readers.ts).

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openLevel, syncFolder, type Level, type LevelOperation } from './level.ts';
import {
  BATCHES_END,
  batchKey,
  BEHIND_ALL,
  COMMIT_KEY,
  COMPLETE_KEY,
  FULL_KEY,
  decodeBatchKey,
  decodeMarkKey,
  MARKS_END,
  MARKS_START,
} from './keys.ts';

/** The latest batch whose times are those of a boot, as the log counts boots. */
export interface UnsureTime {
  boot: number;
  maxTimestampMs: number;
}

/** What a segment holds of one partition. */
export interface Range {
  partition: number;
  firstOffset: number;
  lastOffset: number;
  bytes: number;
  batches: number;
  /** Of the batches whose times are known; -1 without any. */
  maxTimestampMs: number;
  unsure?: UnsureTime;
}

/** What the store must know of a batch. */
export interface Described {
  firstOffset: number;
  lastOffset: number;
  maxTimestampMs: number;
  unsure?: UnsureTime;
}

/** How a batch's own bytes tell it. Throws a HeadwaterError when they are not what was written. */
export type Describe = (batch: Buffer) => Described;

const SCAN_BATCHES = 256;
const SCAN_BYTES = 1024 * 1024;

export class Segment {
  readonly id: number;
  readonly folder: string;
  readonly #level: Level;
  #readers = 0;
  #whenIdle: (() => void) | undefined;

  private constructor(id: number, folder: string, level: Level) {
    this.id = id;
    this.folder = folder;
    this.#level = level;
  }

  static async open(id: number, folder: string, writeBufferBytes: number): Promise<Segment> {
    return new Segment(id, folder, await openLevel(folder, { createIfMissing: false, writeBufferBytes }));
  }

  /** A new, empty segment whose folder survives a power cut. */
  static async create(id: number, folder: string, writeBufferBytes: number): Promise<Segment> {
    const segment = new Segment(id, folder, await openLevel(folder, { createIfMissing: true, writeBufferBytes }));
    await syncFolder(folder);
    await syncFolder(join(folder, '..'));
    return segment;
  }

  /** One atomic write, on the card when it resolves. After an error the segment must be closed and opened again. */
  async write(operations: LevelOperation[]): Promise<void> {
    await this.#level.batch(operations, { sync: true });
  }

  /** Batches of one partition in order, from the one that holds `offset`, up to about `bytesMax`, at least one. */
  async read(partition: number, offset: number, bytesMax: number): Promise<Buffer[]> {
    const end = batchKey(partition + 1, 0);
    const iterator = this.#level.values({
      gte: batchKey(partition, offset),
      lt: end,
      highWaterMarkBytes: Math.min(bytesMax, SCAN_BYTES),
    });
    const batches: Buffer[] = [];
    try {
      let bytes = 0;
      while (bytes < bytesMax) {
        const next = await iterator.nextv(SCAN_BATCHES);
        if (next.length === 0) break;
        for (const batch of next) {
          if (batches.length > 0 && bytes + batch.length > bytesMax) return batches;
          batches.push(batch);
          bytes += batch.length;
        }
      }
      return batches;
    } finally {
      // A closed iterator keeps its last native chunk until it is collected: an empty chunk costs nothing. To seek behind the
      // end of a LevelDB that finds nothing ends the process. What is read holds something, so that is damage: the next start
      // saves what can be saved of it, where a gap that is noted here would take it for lost.
      iterator.seek(end);
      await iterator.nextv(1);
      await iterator.close();
    }
  }

  /** Last offset of the batch that holds `offset`, or of the next one, by its key. */
  async lastOffsetAt(partition: number, offset: number): Promise<number | undefined> {
    const range = { gte: batchKey(partition, offset), lt: batchKey(partition + 1, 0), limit: 1 };
    for await (const key of this.#level.keys(range)) return decodeBatchKey(key).lastOffset;
    return undefined;
  }

  /** Walks all batches in the order of their keys. */
  async scan(visit: (partition: number, lastOffset: number, batch: Buffer) => void): Promise<void> {
    const iterator = this.#level.iterator({ lt: BATCHES_END, highWaterMarkBytes: SCAN_BYTES });
    try {
      for (;;) {
        const entries = await iterator.nextv(SCAN_BATCHES);
        if (entries.length === 0) return;
        for (const [key, batch] of entries) {
          const { partition, lastOffset } = decodeBatchKey(key);
          visit(partition, lastOffset, batch);
        }
      }
    } finally {
      await iterator.close();
    }
  }

  async marks(): Promise<Map<string, Buffer>> {
    const marks = new Map<string, Buffer>();
    for await (const [key, value] of this.#level.iterator({ gte: MARKS_START, lt: MARKS_END })) {
      marks.set(decodeMarkKey(key), value);
    }
    return marks;
  }

  /** False when the first write of this segment, which has all marks, is lost. */
  async hasAllMarks(): Promise<boolean> {
    return (await this.#level.get(COMPLETE_KEY)) !== undefined;
  }

  /** True when it takes no more, though it has room. */
  async isFull(): Promise<boolean> {
    return (await this.#level.get(FULL_KEY)) !== undefined;
  }

  /** Number of the last commit; undefined when nothing was ever written here. */
  async lastCommit(): Promise<number | undefined> {
    const value = await this.#level.get(COMMIT_KEY);
    return value === undefined ? undefined : Number(value.readBigUInt64BE(0));
  }

  /**
   * Moves what is in memory into a table file, so that the next opening has nothing to replay. LevelDB does that before it
   * compacts a range; a range that any file reaches into would be rewritten, and its bytes be written a third time.
   * Throws when it could not, as on a full disk: then the segment can be read on as it is, and must be opened again before
   * the next attempt.
   */
  async flush(): Promise<void> {
    await this.#level.compactRange(BEHIND_ALL, BEHIND_ALL);
    // LevelDB itself does not say so: the log of what was in memory is then still there.
    for (const name of await readdir(this.folder)) {
      if (!name.endsWith('.log')) continue;
      const found = await stat(join(this.folder, name)).catch(() => undefined);
      if ((found?.size ?? 0) > 0) throw new Error('what is in memory could not be written into a table');
    }
  }

  async diskBytes(): Promise<number> {
    return folderBytes(this.folder);
  }

  /** Runs `read` while the segment is certain to stay open. */
  async during<T>(read: (segment: Segment) => Promise<T>): Promise<T> {
    this.#readers += 1;
    try {
      return await read(this);
    } finally {
      this.#readers -= 1;
      if (this.#readers === 0) this.#whenIdle?.();
    }
  }

  get isIdle(): boolean {
    return this.#readers === 0;
  }

  /** Closes when the last reader is done. */
  async close(): Promise<void> {
    if (this.#readers > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    await this.#level.close();
  }
}

export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    // A compaction may remove a file between the two calls.
    const found = await stat(join(folder, name)).catch(() => undefined);
    bytes += found?.size ?? 0;
  }
  return bytes;
}
