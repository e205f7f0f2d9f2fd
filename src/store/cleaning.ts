// Cleaning: what is still needed of a run of neighbouring sealed segments is written into one new sealed segment, and the
// old ones go. The new one has the number of the last of them. Nothing is ever there twice or not at all, whenever a crash
// comes, because its folder says by its name what it replaces, and that name is given when it is whole:
//
//   0000002a, 0000002b + 0000002b.cleaning            the new folder is not whole: it is rubbish
//   0000002a, 0000002b + 0000002a-0000002b.cleaned    it is whole: it counts, and each step from here on is repeated
//                                                     at the next start, by the folders' names alone (take-over.ts)
//   0000002b           + 0000002a.removed, ...        it has its name: what is left of the old ones is rubbish
//
// What stays of a partition covers the offsets that it covered before, so that what is missing is told from what was taken
// out. Whoever reads meanwhile reads the old segments; for the last steps, some renames, reading waits.

import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import type { Catalogue, LocatedRange, SealedRow } from './catalogue.ts';
import type { Gaps } from './gaps.ts';
import { syncFolder } from './level.ts';
import type { Mending } from './mending.ts';
import type { OpenSegment } from './open-segment.ts';
import type { Readers } from './readers.ts';
import { Damaged, rewriteSegments, type Old, type RewritingNeeds, type Sieve } from './rewriting.ts';
import { folderBytes, type Describe, type Range } from './segment.ts';
import { cleanedName, takeOver } from './take-over.ts';

export type { Sieve } from './rewriting.ts';

export interface CleaningRun {
  /** Numbers of neighbouring sealed segments, oldest first. */
  ids: readonly number[];
  /** Undefined: nothing stays of the partition. */
  sieveOf: (partition: number) => Sieve | undefined;
  /** Awaited between reads: for a rate, and for others. What it throws ends the cleaning, and nothing has changed. */
  pace: (bytesRead: number, bytesWritten: number) => Promise<void>;
  /** Runs the last steps while nobody else removes segments. */
  replace: (steps: () => Promise<void>) => Promise<void>;
}

export interface Cleaned {
  /** What the old segments held, and what the new one holds. */
  before: LocatedRange[];
  after: Range[];
  /** Bytes of folders that are free now, the new one's taken off, and bytes of batches that were written again. */
  freedBytes: number;
  writtenBytes: number;
}

export interface Cleaning {
  /**
   * Cleans some segments. Undefined when it could not be done: one is gone, or damaged and mended instead, or nothing would
   * stay, which is for retention to see. Throws what `pace` and the disk throw.
   */
  clean(run: CleaningRun & Pick<RewritingNeeds, 'onWritten'>): Promise<Cleaned | undefined>;
}

export interface CleaningNeeds {
  folderOf: (id: number) => string;
  writeBufferBytes: number;
  catalogue: Catalogue;
  readers: Readers;
  mending: Mending;
  gaps: Gaps;
  describe: Describe;
  clock: Clock;
  trace: Trace;
  closing: AbortSignal;
}

const RETRY_MS = 1000;

export function createCleaning(needs: CleaningNeeds): Cleaning {
  const { folderOf, catalogue, readers, mending, trace, clock, closing } = needs;
  async function clean(run: CleaningRun & Pick<RewritingNeeds, 'onWritten'>): Promise<Cleaned | undefined> {
    const rows = rowsOf(run.ids);
    if (rows === undefined) return undefined;
    const folder = `${folderOf(rows.at(-1)!.id)}.cleaning`;
    try {
      const old = await Promise.all(
        rows.map(async ({ id }): Promise<Old> => ({ id, ranges: await catalogue.rangesIn(id) })),
      );
      await rm(folder, { recursive: true, force: true });
      const open = await rewriteSegments({ ...needs, ...run, use }, old, folder, isNewest(rows));
      return open.batches === 0 ? undefined : await exchange(rows, old, open, folder, run);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      await mending.mend(error.segment, error.message, false);
      return undefined;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Undefined when they are not neighbours, or not all there. */
  function rowsOf(ids: readonly number[]): SealedRow[] | undefined {
    const rows = catalogue.sealed();
    const first = rows.findIndex(({ id }) => id === ids[0]);
    const run = first < 0 ? [] : rows.slice(first, first + ids.length);
    return run.length === ids.length && run.every(({ id }, index) => id === ids[index]) ? run : undefined;
  }

  /** Only its marks may be asked for. */
  function isNewest(rows: readonly SealedRow[]): boolean {
    return catalogue.sealed().at(-1) === rows.at(-1);
  }

  async function use<T>(id: number, read: Parameters<typeof readers.use<T>>[1]): Promise<T> {
    await mending.settled(id);
    return readers.use(id, read);
  }

  /** The new folder is whole: it takes the place of the old ones, unless these are not what was read any more. */
  async function exchange(
    rows: readonly SealedRow[],
    old: readonly Old[],
    { bytes, batches, ranges }: OpenSegment,
    folder: string,
    run: CleaningRun,
  ): Promise<Cleaned | undefined> {
    const { id, next } = rows.at(-1)!;
    const diskBytes = await folderBytes(folder);
    const row = { id, bytes, batches, diskBytes, ...(next !== undefined && { next }) };
    const after = [...ranges.values()];
    const ids = rows.map((each) => each.id);
    let isDone = false;
    await run.replace(() =>
      mending.keepOut(ids, async () => {
        const isSame = rowsOf(ids)?.every((each, index) => each === rows[index]) === true;
        if (closing.aborted || !isSame) return;
        const whole = join(dirname(folder), cleanedName(ids[0]!, id));
        await rename(folder, whole);
        // The next start would do the rest: from here on it must be done before anything else becomes of the old ones.
        isDone = await untilDone(async () => {
          await syncFolder(dirname(folder));
          await takeOver({ folderOf, catalogue, close: (each) => readers.close(each) }, ids, whole, row, after);
        });
      }),
    );
    if (!isDone) return undefined;
    const freedBytes = rows.reduce((sum, each) => sum + each.diskBytes, 0) - diskBytes;
    const before = old.flatMap(({ id: segment, ranges: all }) =>
      all.map((each) => ({ ...each, segment, isSealed: true })),
    );
    return { before, after, freedBytes, writtenBytes: bytes };
  }

  /** There is no way back: what fails is tried again. False when the next start has to. */
  async function untilDone(steps: () => Promise<void>): Promise<boolean> {
    while (!closing.aborted) {
      try {
        await steps();
        return true;
      } catch (error) {
        trace.limited('cleaned segments do not take their place yet', { reason: messageOf(error) });
        await clock.sleep(RETRY_MS, closing);
      }
    }
    return false;
  }

  return { clean };
}
