// What the start makes of the segments' folders: what a crash interrupted is brought to its end, what is missing is told,
// and what was not sealed is read through. Each of those is checked before LevelDB opens it.

import { rm } from 'node:fs/promises';
import type { Catalogue, SealedRow } from './catalogue.ts';
import { surveySegments } from './folder.ts';
import { faultIn } from './inspection.ts';
import type { Mending } from './mending.ts';
import { scanSegment, type OpenSegment, type Scanned } from './open-segment.ts';
import type { Segment } from './segment.ts';
import type { RecoverHooks } from './contract.ts';

export interface RecoveryNeeds {
  segmentsFolder: string;
  folderOf: (id: number) => string;
  openSegment: (id: number) => Promise<Segment>;
  catalogue: Catalogue;
  mending: Mending;
  segmentBytesMax: number;
  /** The tables were damaged: rows may be old ones, of folders that were cleaned since. */
  isDoubtful: boolean;
  hooks: RecoverHooks;
  /** A segment that was not sealed was damaged: marks of it may be lost. */
  onMended: () => void;
}

export interface Recovery {
  /** Numbers from here on were never used. */
  nextId: number;
  /** The segments that were not sealed and hold something, oldest first; each open. */
  unsealed: AsyncIterable<Scanned>;
}

export async function recoverSegments(needs: RecoveryNeeds): Promise<Recovery> {
  const { catalogue } = needs;
  const ids = await settleFolders(needs);
  const next = catalogue.next();
  const nextId = 1 + Math.max(0, catalogue.sealed().at(-1)?.id ?? 0, next ?? 0, ...ids);
  return { nextId, unsealed: readUnsealed(needs, ids, next) };
}

/** Returns the segments that are not sealed. */
async function settleFolders(needs: RecoveryNeeds): Promise<number[]> {
  const { segmentsFolder, catalogue, mending, isDoubtful } = needs;
  const { rebuilt, missing, removed } = await surveySegments(segmentsFolder, catalogue);
  for (const id of rebuilt) await mending.finish(id, 'found damaged before the last stop');
  // In doubt only what nothing else holds is lost: whoever knows the log's starts finds that.
  for (const id of isDoubtful ? [] : missing) {
    await mending.addGaps(await catalogue.rangesIn(id), `segment ${id}: its folder is missing`);
  }
  const others = isDoubtful ? followersOf([...missing, ...removed], catalogue.sealed()) : [];
  for (const id of [...missing, ...removed, ...others]) await catalogue.remove(id);
  return (await surveySegments(segmentsFolder, catalogue)).unsealed;
}

/**
 * With old rows a segment whose folder is missing may lie, cleaned, in the one that follows, of which there is an old row
 * then, too: that one is read through as one that was not sealed.
 */
function followersOf(gone: readonly number[], rows: readonly SealedRow[]): number[] {
  return rows.flatMap(({ id }, index) => {
    const before = rows[index - 1]?.id;
    return before !== undefined && gone.includes(before) && !gone.includes(id) ? [id] : [];
  });
}

/** `next` is the one that was begun before the newest sealed one was sealed: it must be there. */
async function* readUnsealed(
  needs: RecoveryNeeds,
  ids: number[],
  next: number | undefined,
): AsyncGenerator<Scanned, void, void> {
  let lostTail =
    next === undefined || ids.includes(next) || needs.catalogue.has(next)
      ? undefined
      : `segment ${next}: its folder is missing`;
  let before: OpenSegment | undefined;
  const onBlind = (id: number, fault: string): void => void (lostTail = `segment ${id}: ${fault}`);
  for (const id of ids) {
    // One that was only made ready holds nothing: the one before it was not full.
    const isFull = before === undefined || before.isFull || before.fillBytes >= needs.segmentBytesMax;
    const isWritten = id === next || isFull;
    const found = await readOne(needs, id, (fault) => (isWritten ? onBlind(id, fault) : undefined));
    if (found === undefined) {
      if (id === next) lostTail ??= `segment ${id}: nothing is left of it`;
      continue;
    }
    before = found.open;
    yield found;
  }
  if (lostTail !== undefined) needs.hooks.onTailLost(lostTail);
}

/** Undefined, and without its folder, when nothing is in it. */
async function readOne(
  needs: RecoveryNeeds,
  id: number,
  onBlind: (fault: string) => void,
): Promise<Scanned | undefined> {
  const { folderOf, catalogue, mending, openSegment, hooks } = needs;
  const { fault } = await faultIn(folderOf(id), 'whole');
  if (fault !== undefined) {
    const { isAny, isBlind } = await mending.mendUnsealed(id, fault);
    needs.onMended();
    if (isBlind) onBlind(fault);
    if (!isAny) return undefined;
  }
  // The snapshot in a newer segment knows what came after it: what lies before a sealed one must not be taken for the latest.
  const isPassed = id < (catalogue.sealed().at(-1)?.id ?? 0);
  const found = await scanSegment(await openSegment(id), isPassed ? { ...hooks, visit: () => undefined } : hooks);
  if (found === undefined) {
    await rm(folderOf(id), { recursive: true });
    return undefined;
  }
  await mending.addGaps(found.holes, `segment ${id}: ${fault ?? 'batches are missing'}`);
  // LevelDB keeps all that was read mapped into memory, for as long as it is open.
  await found.open.segment.close();
  found.open.segment = await openSegment(id);
  return found;
}
