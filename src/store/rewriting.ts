// A new segment of what is still needed of some sealed ones: partition by partition, so that LevelDB has nothing to sort. Each
// batch is checked on its way, against its checksum and against the one before.

import { messageOf } from '../errors.ts';
import type { Gaps } from './gaps.ts';
import { batchKey, COMMIT_KEY, COMPLETE_KEY, encodeCommitNumber, markKey } from './keys.ts';
import { syncFolder, type LevelOperation } from './level.ts';
import { account, emptyOpen, type OpenSegment } from './open-segment.ts';
import type { SealedSegment } from './sealed-segment.ts';
import { Segment, type Describe, type Described, type Range } from './segment.ts';

/** Says what stays of one partition; is given its batches in order. */
export interface Sieve {
  /** What lies below is not needed, and not even read: it may be damaged, and its gaps forgotten. */
  readonly startOffset?: number;
  /** The batches to write for this one and for those before it, if any. */
  take(batch: Buffer): Buffer[];
  /** What is left to write. */
  end(): Buffer[];
}

export interface Old {
  id: number;
  ranges: Range[];
}

export interface RewritingNeeds {
  gaps: Gaps;
  describe: Describe;
  writeBufferBytes: number;
  /** Runs `read` on a sealed segment. */
  use: <T>(id: number, read: (segment: SealedSegment) => Promise<T>) => Promise<T>;
  /** Undefined: nothing stays of the partition. */
  sieveOf: (partition: number) => Sieve | undefined;
  /** Awaited between reads; throws when it is to be given up. */
  pace: (bytesRead: number, bytesWritten: number) => Promise<void>;
  /** So many bytes go to the card. */
  onWritten: (bytes: number) => void;
}

const READ_BYTES = 256 * 1024;
/** Of what a memtable of other segments holds: what is written lies in LevelDB's log, too, until its memtable is a table. */
const MEMTABLE_SHARE = 1 / 4;

/** What was found in a segment is not what there must be. */
export class Damaged extends Error {
  readonly segment: number;

  constructor(segment: number, reason: string) {
    super(reason);
    this.segment = segment;
  }
}

/** Makes the folder; on return it is on the card and closed. Throws Damaged, and what the disk throws. */
export async function rewriteSegments(
  needs: RewritingNeeds,
  old: readonly Old[],
  folder: string,
  hasMarks: boolean,
): Promise<OpenSegment> {
  const segment = await Segment.create(old.at(-1)!.id, folder, needs.writeBufferBytes * MEMTABLE_SHARE);
  const rewriting = new Rewriting(needs, segment);
  try {
    const partitions = new Set(old.flatMap(({ ranges }) => ranges.map(({ partition }) => partition)));
    for (const partition of [...partitions].toSorted((a, b) => a - b)) await rewriting.partition(partition, old);
    await rewriting.finish(old.at(-1)!.id, hasMarks);
  } finally {
    await segment.close();
  }
  await syncFolder(folder);
  return rewriting.open;
}

class Rewriting {
  readonly open: OpenSegment;
  readonly #needs: RewritingNeeds;
  #operations: LevelOperation[] = [];
  #bytes = 0;

  constructor(needs: RewritingNeeds, segment: Segment) {
    this.#needs = needs;
    this.open = emptyOpen(segment);
  }

  async partition(partition: number, old: readonly Old[]): Promise<void> {
    const sieve = this.#needs.sieveOf(partition);
    if (sieve === undefined) return;
    for (const { id, ranges } of old) {
      const range = ranges.find((each) => each.partition === partition);
      if (range !== undefined) await this.#part(id, range, sieve);
    }
    await this.#put(partition, sieve.end());
  }

  async #part(id: number, { partition, firstOffset, lastOffset }: Range, sieve: Sieve): Promise<void> {
    const { gaps, pace } = this.#needs;
    for (let next = Math.max(firstOffset, sieve.startOffset ?? 0); next <= lastOffset;) {
      const batches = await this.#use(id, (segment) => segment.read(partition, next, READ_BYTES));
      if (batches.length === 0 && gaps.covers(partition, next, lastOffset)) return;
      if (batches.length === 0) throw new Damaged(id, `offsets from ${next} on are missing`);
      let [bytesRead, bytesWritten] = [0, 0];
      for (const batch of batches) {
        const found = this.#describedBy(id, batch);
        if (found.lastOffset < next) throw new Damaged(id, `offset ${found.firstOffset} comes behind ${next}`);
        if (found.firstOffset > next && !gaps.covers(partition, next, found.firstOffset - 1)) {
          throw new Damaged(id, `offsets ${next} to ${found.firstOffset - 1} are missing`);
        }
        next = found.lastOffset + 1;
        bytesRead += batch.length;
        bytesWritten += await this.#put(partition, sieve.take(batch));
      }
      await pace(bytesRead, bytesWritten);
    }
  }

  async #use<T>(id: number, read: (segment: SealedSegment) => Promise<T>): Promise<T> {
    try {
      return await this.#needs.use(id, read);
    } catch (error) {
      throw new Damaged(id, messageOf(error));
    }
  }

  #describedBy(id: number, batch: Buffer): Described {
    try {
      return this.#needs.describe(batch);
    } catch (error) {
      throw new Damaged(id, messageOf(error));
    }
  }

  async #put(partition: number, batches: Buffer[]): Promise<number> {
    let bytes = 0;
    for (const value of batches) {
      const write = { partition, value, ...this.#needs.describe(value) };
      account(this.open, [write]);
      this.#operations.push({ type: 'put', key: batchKey(partition, write.lastOffset), value });
      bytes += value.length;
    }
    this.#bytes += bytes;
    if (this.#bytes >= this.#needs.writeBufferBytes * MEMTABLE_SHARE) await this.#write();
    return bytes;
  }

  async #write(): Promise<void> {
    if (this.#operations.length > 0) await this.open.segment.write(this.#operations);
    this.#needs.onWritten(this.#bytes);
    this.#operations = [];
    this.#bytes = 0;
  }

  /** Marks and what goes with them, as the last of the old ones has them. */
  async finish(last: number, hasMarks: boolean): Promise<void> {
    const commit = await this.#use(last, (segment) => segment.lastCommit());
    this.#operations.push({ type: 'put', key: COMMIT_KEY, value: encodeCommitNumber(commit ?? 0) });
    if (hasMarks) {
      for (const [name, value] of await this.#use(last, (segment) => segment.marks())) {
        this.#operations.push({ type: 'put', key: markKey(name), value });
      }
      this.#operations.push({ type: 'put', key: COMPLETE_KEY, value: Buffer.alloc(0) });
    }
    await this.#write();
    await this.open.segment.flush();
  }
}
