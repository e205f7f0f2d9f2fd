// What becomes of a damaged segment: what can still be read of it is written into a new folder, the damaged one is set
// aside, and what is missing afterwards is a gap. A crash in between leaves one of these, and the next start goes on:
//
//   0000002a + 0000002a.rebuilding   the new folder is not whole: begin again
//   0000002a + 0000002a.rebuilt      it is: find out what is missing, set the old one aside
//              0000002a.rebuilt      give it its name

import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { Trace } from '../trace.ts';
import type { Catalogue } from './catalogue.ts';
import type { Gap, Gaps } from './gaps.ts';
import { dataFilesIn, faultIn } from './inspection.ts';
import { syncFolder } from './level.ts';
import { scanSegment, type Scanned } from './open-segment.ts';
import type { Quarantine } from './quarantine.ts';
import { rebuildSegment, type Rebuilt } from './rebuild.ts';
import { folderBytes, Segment, type Describe, type Range } from './segment.ts';

/** A key that says more is damaged itself. */
const BROKEN_RECORDS_MAX = 2 ** 20;

export interface MendingNeeds {
  folderOf: (id: number) => string;
  writeBufferBytes: number;
  catalogue: Catalogue;
  gaps: Gaps;
  quarantine: Quarantine;
  clock: Clock;
  trace: Trace;
  describe: Describe;
  /** Closes whatever reads the segment, and lets nobody begin until it is mended. */
  release: (id: number) => Promise<void>;
  /** Gaps that were not known, durable already. */
  onGaps: (gaps: Gap[]) => Promise<void>;
}

export interface MendedUnsealed {
  /** Something is left. */
  isAny: boolean;
  /** There may have been batches at the end of which nothing is left: no list says how far it went. */
  isBlind: boolean;
}

export interface Mending {
  /**
   * Replaces a sealed segment by what is left of it. With `isCertain` the caller has seen that it is damaged; without, false
   * is returned when each of its checksums is right. One that is mended already is waited for.
   */
  mend(id: number, reason: string, isCertain: boolean): Promise<boolean>;
  /** Replaces a segment that was not sealed. Nobody reads it yet. */
  mendUnsealed(id: number, reason: string): Promise<MendedUnsealed>;
  /** Goes on after a crash, from `.rebuilt` on. */
  finish(id: number, reason: string): Promise<void>;
  /** Resolves when the segment is not being mended. */
  settled(id: number): Promise<unknown>;
  /** Does other work on segments that nobody may mend, or begin to read, meanwhile. */
  keepOut(ids: readonly number[], work: () => Promise<void>): Promise<void>;
  addGaps(found: { partition: number; firstOffset: number; lastOffset: number }[], reason: string): Promise<void>;
}

export function createMending(needs: MendingNeeds): Mending {
  const { folderOf, catalogue, gaps, quarantine, clock, describe } = needs;
  const trace = needs.trace;
  const running = new Map<number, Promise<boolean>>();

  async function addGaps(
    found: Pick<Gap, 'partition' | 'firstOffset' | 'lastOffset'>[],
    reason: string,
  ): Promise<void> {
    const atMs = clock.wallMs();
    const added = await gaps.add(
      found.map(({ partition, firstOffset, lastOffset }) => ({ partition, firstOffset, lastOffset, reason, atMs })),
    );
    for (const { partition, firstOffset, lastOffset } of added) {
      trace.error('records are lost', { partition, firstOffset, lastOffset, reason });
    }
    if (added.length > 0) await needs.onGaps(added);
  }

  async function rebuild(id: number): Promise<Rebuilt> {
    const folder = folderOf(id);
    const rebuilt = await rebuildSegment(id, folder, `${folder}.rebuilding`, needs.writeBufferBytes, describe);
    if (rebuilt.isAny) await rename(`${folder}.rebuilding`, `${folder}.rebuilt`);
    await syncFolder(join(folder, '..'));
    return rebuilt;
  }

  async function finish(id: number, reason: string, broken?: Rebuilt['broken']): Promise<void> {
    const folder = folderOf(id);
    const rebuilt = `${folder}.rebuilt`;
    const isAny = await isThere(rebuilt);
    const found = isAny ? await look(id, rebuilt) : undefined;
    const expected = await catalogue.rangesIn(id);
    await addGaps([...missingFrom(expected, found), ...brokenBehind(broken, found)], `segment ${id}: ${reason}`);
    await quarantine.setAside(folder, { reason, atMs: clock.wallMs() });
    if (isAny) await rename(rebuilt, folder);
    await syncFolder(join(folder, '..'));
    if (!catalogue.has(id)) return;
    if (found === undefined) return catalogue.remove(id);
    const { bytes, batches, ranges } = found.open;
    const { next } = catalogue.sealed().find((each) => each.id === id)!;
    const diskBytes = await folderBytes(folder);
    await catalogue.add({ id, bytes, batches, diskBytes, ...(next !== undefined && { next }) }, [...ranges.values()]);
  }

  async function look(id: number, folder: string): Promise<Scanned | undefined> {
    const segment = await Segment.open(id, folder, needs.writeBufferBytes);
    const found = await scanSegment(segment, { describe, visit: () => undefined });
    await segment.close();
    return found;
  }

  async function mendNow(id: number, reason: string, isCertain: boolean): Promise<boolean> {
    await needs.release(id);
    const { fault } = await faultIn(folderOf(id), 'whole');
    if (fault === undefined && !isCertain) return false;
    trace.error('a segment is damaged: what is left of it is saved', { segment: id, reason: fault ?? reason });
    await rebuild(id);
    await finish(id, fault ?? reason);
    return true;
  }

  return {
    mend(id, reason, isCertain) {
      const found = running.get(id);
      if (found !== undefined) return found;
      const mending = mendNow(id, reason, isCertain).finally(() => running.delete(id));
      running.set(id, mending);
      return mending;
    },
    async mendUnsealed(id, reason) {
      const folder = folderOf(id);
      const { isAny, broken, isBlind } = await rebuild(id);
      if (!isAny && (await isEmpty(folder))) {
        // As a crash or a full disk leaves it that came while the segment was made.
        const isLogMissing = (await dataFilesIn(folder)).length === 0 && (await wasMade(folder));
        await rm(folder, { recursive: true });
        return { isAny, isBlind: isLogMissing };
      }
      trace.error('a segment is damaged: what is left of it is saved', { segment: id, reason });
      await finish(id, reason, broken);
      return { isAny, isBlind };
    },
    finish: (id, reason) => finish(id, reason),
    settled: (id) => running.get(id) ?? Promise.resolve(),
    async keepOut(ids, work) {
      for (let busy; (busy = ids.find((id) => running.has(id))) !== undefined;) await running.get(busy);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      for (const id of ids) running.set(id, promise);
      try {
        await work();
      } finally {
        for (const id of ids) running.delete(id);
        resolve(true);
      }
    },
    addGaps,
  };
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** LevelDB writes its second MANIFEST, and has written CURRENT, before anything can be written to it. */
async function wasMade(folder: string): Promise<boolean> {
  const names = await readdir(folder);
  return names.some((name) => name === 'CURRENT' || (name.startsWith('MANIFEST-') && name !== 'MANIFEST-000001'));
}

async function isEmpty(folder: string): Promise<boolean> {
  for (const { name, kind } of await dataFilesIn(folder)) {
    if (kind === 'table' || (await stat(join(folder, name))).size > 0) return false;
  }
  return true;
}

type Piece = Pick<Range, 'partition' | 'firstOffset' | 'lastOffset'>;

/** What was last in a segment that was not sealed, and is damaged: no list says how far it went. */
function brokenBehind(broken: Rebuilt['broken'] | undefined, found: Scanned | undefined): Piece[] {
  const pieces: Piece[] = [];
  for (const [partition, lastOffset] of broken ?? []) {
    const end = found?.open.ranges.get(partition)?.lastOffset;
    const isPlausible = end !== undefined && lastOffset > end && lastOffset - end < BROKEN_RECORDS_MAX;
    if (isPlausible) pieces.push({ partition, firstOffset: end + 1, lastOffset });
  }
  return pieces;
}

/** What a segment held, less what is found. */
function missingFrom(expected: Range[], found: Scanned | undefined): Piece[] {
  const missing: Piece[] = [...(found?.holes ?? [])];
  for (const { partition, firstOffset, lastOffset } of expected) {
    const left = found?.open.ranges.get(partition);
    if (left === undefined) {
      missing.push({ partition, firstOffset, lastOffset });
      continue;
    }
    if (firstOffset < left.firstOffset) missing.push({ partition, firstOffset, lastOffset: left.firstOffset - 1 });
    if (lastOffset > left.lastOffset) missing.push({ partition, firstOffset: left.lastOffset + 1, lastOffset });
  }
  return missing;
}
