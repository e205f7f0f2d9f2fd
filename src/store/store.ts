// The store: what lies on the card. A series of small LevelDBs (segments) holds the batches of all partitions; one more
// (tables) holds what need not be atomic with records. This is the only room that imports classic-level.
//
// The folder:   owner                the pid of the process that has it open, for a second one's error message
//               tables/              LevelDB of small rows, the catalogue among them
//               segments/0000002a/   LevelDB of batches, marks and a commit number (keys.ts)
//               quarantine/          folders that are damaged, set aside (quarantine.ts)
//
// A write never half-fails. LevelDB's state is unknown after an error (later writes "succeed" and are lost), so the
// segment is closed and opened again and the same write is repeated, with the same keys, until it is there. While that
// lasts `failure()` says why, and the log refuses new work.

import assert from 'node:assert';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import { loadCatalogue } from './catalogue.ts';
import { createCleaning } from './cleaning.ts';
import type { BatchWrite, Change, RecoverHooks, Store, StoreNeeds } from './contract.ts';
import { takeFolder, unavailable, unreadable } from './folder.ts';
import { loadGaps } from './gaps.ts';
import { copiedKey, loadKeptRows, restoreRows } from './kept-rows.ts';
import { COMMIT_KEY, COMPLETE_KEY, FULL_KEY, batchKey, encodeCommitNumber, markKey } from './keys.ts';
import { bytesOf, isDiskFull, type LevelOperation } from './level.ts';
import { createMending } from './mending.ts';
import { account, emptyOpen, type OpenSegment } from './open-segment.ts';
import { openReaders } from './readers.ts';
import { Reading } from './reading.ts';
import { recoverSegments } from './recovery.ts';
import { SealedSegment } from './sealed-segment.ts';
import { openScrub, type Scrub } from './scrub.ts';
import { finishCleanings } from './take-over.ts';
import type { TablesRoom } from './tables.ts';
import { Segment, type Describe } from './segment.ts';

export type { LocatedRange, SealedRow } from './catalogue.ts';
export type { Cleaned, Sieve } from './cleaning.ts';
export type { BatchWrite, Change, RecoverHooks, Store, Tables } from './contract.ts';
export type { Space } from './disk-room.ts';
export type { Gap } from './gaps.ts';
export type { SetAside } from './quarantine.ts';
export type { Describe, Described, Range } from './segment.ts';

const WRITE_BUFFER_BYTES = 8 * 1024 * 1024;
// Five memtable flushes land in levels 2, 1 and 0 without LevelDB rewriting any of them; a sixth would.
const MEMTABLES_PER_SEGMENT = 4.5;
const RETRY_MS = 1000;
const LOOK_MS = 5;
/** On a full disk a segment is opened again when there is room for what is in its memory, twice, and some more. */
const MEMTABLES_FOR_OPENING = 3;
/** What that takes, and what is written while it lasts. */
const MEMTABLES_OF_BALLAST = 4;

/** Opens the folder, made when missing. Throws STORE_LOCKED (naming the owner's pid) or STORE_UNAVAILABLE. */
export async function openStore(needs: StoreNeeds): Promise<Store> {
  const { folder, clock } = needs;
  const trace = needs.trace.room('store');
  const writeBufferBytes = needs.writeBufferBytes ?? WRITE_BUFFER_BYTES;
  const segmentBytesMax = writeBufferBytes * MEMTABLES_PER_SEGMENT;
  const roomForOpening = writeBufferBytes * MEMTABLES_FOR_OPENING;
  const segmentsFolder = join(folder, 'segments');

  const ballastBytes = needs.ballastBytes ?? writeBufferBytes * MEMTABLES_OF_BALLAST;
  const taken = await takeFolder({ folder, clock, trace, writeBufferBytes, ballastBytes }, roomForOpening);
  const { room, tables: rawTables, quarantine, fault: tablesFault } = taken;
  const kept = await loadKeptRows(rawTables);
  const tables: TablesRoom = {
    ...rawTables,
    async write(changes) {
      await rawTables.write(changes);
      kept.note(changes);
    },
  };
  const catalogue = await loadCatalogue(tables);
  room.sealedBy(catalogue);
  const gaps = await loadGaps(tables, trace);
  const readers = openReaders(openSealed, clock);
  const suspects = new Set<number>();

  const marks = new Map<string, Buffer>();
  /** Copies of the tables' rows, as of the last commit before the start. */
  const copies = new Map<string, Buffer>();
  const sealing: OpenSegment[] = [];
  /** Sealed, and being closed by LevelDB. */
  const leaving = new Map<number, Promise<void>>();
  const closing = new AbortController();
  let active: OpenSegment | undefined;
  let standby: Promise<Segment> | undefined;
  let sealWork: Promise<void> = Promise.resolve();
  let nextId = 1;
  let commit = 0;
  let failure: string | undefined;
  let isWriting = false;
  let isRollWanted = false;
  let scrub: Scrub | undefined;
  let carry: () => Change[] = () => [];
  let describe: Describe = () => assert.fail('recovered before read');
  let onGaps: RecoverHooks['onGaps'] = () => Promise.resolve();
  const mending = createMending({
    folderOf,
    writeBufferBytes,
    catalogue,
    gaps,
    quarantine,
    clock,
    trace,
    describe: (batch) => describe(batch),
    async release(id) {
      await whenLeft(id);
      await readers.close(id);
    },
    onGaps: (found) => onGaps(found),
  });
  const cleaning = createCleaning({
    folderOf,
    writeBufferBytes,
    catalogue,
    readers,
    mending,
    gaps,
    describe: (batch) => describe(batch),
    clock,
    trace,
    closing: closing.signal,
  });
  const reading = new Reading({
    catalogue,
    readers,
    gaps,
    mending,
    describe: (batch) => describe(batch),
    openHolding,
    open: openSegments,
    suspect: (id) => void suspects.add(id),
  });

  function folderOf(id: number): string {
    return join(segmentsFolder, id.toString(16).padStart(8, '0'));
  }

  function openSegment(id: number): Promise<Segment> {
    return Segment.open(id, folderOf(id), writeBufferBytes);
  }

  async function openSealed(id: number): Promise<SealedSegment> {
    await whenLeft(id);
    const segment = await SealedSegment.open(id, folderOf(id), suspects.has(id) ? 'whole' : 'structure');
    suspects.delete(id);
    return segment;
  }

  async function recover(hooks: RecoverHooks): Promise<void> {
    ({ carry, describe, onGaps } = hooks);
    await mkdir(segmentsFolder, { recursive: true });
    if (tablesFault !== undefined) await catalogue.mendRanges();
    await finishCleanings({ segmentsFolder, folderOf, catalogue, writeBufferBytes, describe });
    const needs = {
      segmentsFolder,
      folderOf,
      openSegment,
      catalogue,
      mending,
      segmentBytesMax,
      isDoubtful: tablesFault !== undefined,
      hooks,
      onMended: kept.renew,
    };
    const recovery = await recoverSegments(needs);
    nextId = recovery.nextId;
    for await (const { open, commit } of recovery.unsealed) await becomeActive(open, commit);
    if (active === undefined) {
      await inheritMarks();
      active = emptyOpen(await createSegment());
    }
    if (tablesFault !== undefined) {
      const restored = await restoreRows(tables, copies);
      trace.error('the tables were damaged: rows are restored from the segments', { restored, reason: tablesFault });
    }
    copies.clear();
    prepareStandby();
    scrub = openScrub({
      sealed: () => catalogue.sealed(),
      folderOf,
      // Not certain: a cleaning may have put another folder in its place while it was read.
      mend: (id, fault) => mending.mend(id, fault, false),
      clock,
      trace,
    });
  }

  let lacksMarks = false;
  async function becomeActive(open: OpenSegment, lastCommit: number): Promise<void> {
    if (active !== undefined) {
      sealing.push(active);
      seal(active);
    }
    const isFirst = active === undefined;
    active = open;
    // Where they are not all there, the segment before has those that are missing.
    lacksMarks = !(await open.segment.hasAllMarks());
    if (!lacksMarks) dropMarks();
    else if (isFirst) await inheritMarks();
    commit = lastCommit;
    takeMarks(await open.segment.marks());
  }

  /** Without an active segment the newest sealed one has the complete set of marks. */
  async function inheritMarks(): Promise<void> {
    for (let newest; (newest = catalogue.sealed().at(-1)) !== undefined;) {
      const { id } = newest;
      try {
        takeMarks(await readers.use(id, (segment) => segment.marks()));
        commit = (await readers.use(id, (segment) => segment.lastCommit())) ?? 0;
        return;
      } catch (error) {
        if (!(await mending.mend(id, messageOf(error), false))) throw error;
      }
    }
  }

  function takeMarks(found: Map<string, Buffer>): void {
    for (const [key, value] of found) {
      const row = copiedKey(key);
      if (row === undefined) marks.set(key, value);
      else copies.set(row, value);
    }
  }

  function dropMarks(): void {
    marks.clear();
    copies.clear();
  }

  function createSegment(): Promise<Segment> {
    const id = nextId;
    nextId += 1;
    return Segment.create(id, folderOf(id), writeBufferBytes);
  }

  /** Creating a segment costs four syncs: it is done before it is needed, off the commit's way. */
  function prepareStandby(): void {
    standby = createSegment();
    // A failure is reported by the roll that needs the segment; until then it must not count as unhandled.
    standby.catch(() => undefined);
  }

  // Marks alone fill a segment as well, so that what is only marks goes. One that has lost some is followed at once by one
  // that has all: read again, those of the segment before would undo what was removed since.
  async function isFull(open: OpenSegment): Promise<boolean> {
    if (!open.isFull && (lacksMarks || open.markBytes >= writeBufferBytes / 2)) {
      // How many bytes of batches are in it does not tell the next start that another one was begun.
      await open.segment.write([{ type: 'put', key: FULL_KEY, value: Buffer.alloc(0) }]);
      open.isFull = true;
      lacksMarks = false;
    }
    return open.isFull || open.fillBytes >= segmentBytesMax;
  }

  async function roll(full: OpenSegment): Promise<OpenSegment> {
    const taken = standby ?? createSegment();
    standby = undefined;
    const next = emptyOpen(await taken);
    active = next;
    sealing.push(full);
    prepareStandby();
    return next;
  }

  function seal(full: OpenSegment): void {
    sealWork = sealWork.then(() => sealUntilDone(full));
  }

  async function sealUntilDone(full: OpenSegment): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await full.segment.flush();
        const { bytes, batches } = full;
        const diskBytes = await full.segment.diskBytes();
        // One is full when the next one was written to.
        const next = (sealing[sealing.indexOf(full) + 1] ?? active)!.segment.id;
        await catalogue.add({ id: full.segment.id, bytes, batches, diskBytes, next }, [...full.ranges.values()]);
        sealing.splice(sealing.indexOf(full), 1);
        await leave(full.segment);
        return;
      } catch (error) {
        // What is not sealed is scanned again at the next start: nothing is lost by trying later.
        trace.limited('sealing a segment failed, trying again', { segment: full.segment.id, reason: messageOf(error) });
        await clock.sleep(RETRY_MS, closing.signal);
        // After an error LevelDB moves nothing any more until it is opened again, and that takes room itself.
        await room.whenRoom(roomForOpening, closing.signal);
        if (!closing.signal.aborted) await reopen(full);
      }
    }
  }

  /** LevelDB's files do not change any more when it has closed them. */
  async function whenLeft(id: number): Promise<void> {
    while (sealing.some(({ segment }) => segment.id === id)) {
      if (closing.signal.aborted) throw unavailable(folder, new Error('it is being closed'));
      await clock.sleep(LOOK_MS, closing.signal);
    }
    await leaving.get(id);
  }

  async function leave(segment: Segment): Promise<void> {
    const closed = segment.close().catch(() => undefined);
    leaving.set(segment.id, closed);
    await closed;
    leaving.delete(segment.id);
  }

  async function write(batches: BatchWrite[], changes: Change[]): Promise<void> {
    assert(!isWriting, 'one write at a time');
    isWriting = true;
    try {
      await writeUntilThere(batches, [...changes, ...kept.takeChanged()]);
    } finally {
      isWriting = false;
    }
    keep(changes);
  }

  function keep(changes: Change[]): void {
    for (const [key, value] of changes) {
      if (value === null) marks.delete(key);
      else marks.set(key, value);
    }
  }

  async function writeUntilThere(batches: BatchWrite[], changes: Change[]): Promise<void> {
    for (;;) {
      // LevelDB was not opened again after the error: a write would "succeed" and be lost.
      if (closing.signal.aborted && failure !== undefined) throw unavailable(folder, new Error(failure));
      try {
        assert(active !== undefined, 'recovered before written');
        const open = (await isFull(active)) ? await roll(active) : active;
        const isFirst = !open.hasMarks;
        const isLast = isRollWanted && !isFirst;
        const operations = operationsOf(batches, changes, open, isLast);
        await open.segment.write(operations);
        commit += 1;
        account(open, batches);
        open.isFull = isLast;
        isRollWanted = false;
        if (!isFirst && batches.length === 0) open.markBytes += bytesOf(operations);
        room.note(bytesOf(operations));
        failure = undefined;
        // Until then the one before has the only whole set of marks: what is not sealed can't be removed.
        const before = sealing.at(-1);
        if (isFirst && before !== undefined) seal(before);
        return;
      } catch (error) {
        failure = isDiskFull(error) ? 'the disk is full' : messageOf(error);
        trace.limited('a write failed; opening the segment again and repeating it', { reason: failure });
        if (isDiskFull(error)) await room.whenRoom(roomForOpening, closing.signal);
        if (!closing.signal.aborted) await reopenActive();
      }
    }
  }

  function operationsOf(
    batches: BatchWrite[],
    changes: Change[],
    open: OpenSegment,
    isLast: boolean,
  ): LevelOperation[] {
    const operations: LevelOperation[] = batches.map((each) => ({
      type: 'put',
      key: batchKey(each.partition, each.lastOffset),
      value: each.value,
    }));
    if (!open.hasMarks) {
      keep(carry());
      for (const [name, value] of marks) operations.push({ type: 'put', key: markKey(name), value });
      for (const [name, value] of kept.all()) operations.push({ type: 'put', key: markKey(name), value: value! });
      operations.push({ type: 'put', key: COMPLETE_KEY, value: Buffer.alloc(0) });
    }
    for (const [name, value] of changes) {
      const key = markKey(name);
      operations.push(value === null ? { type: 'del', key } : { type: 'put', key, value });
    }
    if (isLast) operations.push({ type: 'put', key: FULL_KEY, value: Buffer.alloc(0) });
    operations.push({ type: 'put', key: COMMIT_KEY, value: encodeCommitNumber(commit + 1) });
    return operations;
  }

  async function reopenActive(): Promise<void> {
    assert(active !== undefined, 'a write came before');
    await reopen(active, (error) => (failure = isDiskFull(error) ? 'the disk is full' : messageOf(error)));
  }

  /** Until it is open again, or all is closed. */
  async function reopen(open: OpenSegment, onError: (error: unknown) => void = () => undefined): Promise<void> {
    const { id } = open.segment;
    await open.segment.close().catch(() => undefined);
    while (!closing.signal.aborted) {
      try {
        open.segment = await openSegment(id);
        return;
      } catch (error) {
        onError(error);
        await clock.sleep(RETRY_MS, closing.signal);
      }
    }
  }

  function giveUp(): void {
    closing.abort();
    tables.giveUp();
  }

  function* openSegments(): Iterable<OpenSegment> {
    yield* sealing;
    if (active !== undefined) yield active;
  }

  /** The segment in memory that holds `offset` of a partition, the oldest first. */
  function openHolding(partition: number, offset: number): OpenSegment | undefined {
    for (const open of openSegments()) {
      const range = open.ranges.get(partition);
      if (range !== undefined && offset <= range.lastOffset) return open;
    }
    return undefined;
  }

  return {
    tables,
    recover,
    write,
    async read(partition, offset, bytesMax, allocate) {
      try {
        return await reading.batches(partition, offset, bytesMax, allocate);
      } catch (error) {
        throw unreadable(`partition ${partition} from offset ${offset} on`, error);
      }
    },
    async rangeAt(partition, offset) {
      try {
        return await reading.rangeAt(partition, offset);
      } catch (error) {
        throw unreadable(`the catalogue of partition ${partition}`, error);
      }
    },
    allRanges: () => reading.allRanges(),
    *marks(prefix) {
      for (const entry of marks) if (entry[0].startsWith(prefix)) yield entry;
    },
    sealed: () => catalogue.sealed(),
    rangesIn: (id) => catalogue.rangesIn(id),
    clean: (run) => cleaning.clean({ ...run, onWritten: (bytes) => room.note(bytes) }),
    rollSoon: () => void (isRollWanted = active?.isFull === false),
    written: () => [...(active?.ranges.values() ?? [])],
    segmentBytesMax,
    whenSealed: () => sealWork,
    gaps: () => gaps.list(),
    gapsForgotten: () => gaps.forgotten,
    gapsTold: (told) => gaps.told(told),
    addGaps: (found, reason) => mending.addGaps(found, reason),
    settleTail: () => catalogue.forgetNext(),
    async pruneGaps(logStart) {
      await gaps.prune(logStart);
      await quarantine.refresh();
    },
    quarantine: () => quarantine.list(),
    removeQuarantined: () => quarantine.removeOldest(),
    async remove(id) {
      await mending.settled(id);
      // Nothing may be left of one that was mended.
      if (!catalogue.has(id)) return;
      await readers.close(id);
      // The new name says that the folder is rubbish, whatever the catalogue still says after a crash.
      const rubbish = `${folderOf(id)}.removed`;
      await rename(folderOf(id), rubbish);
      await catalogue.remove(id);
      await rm(rubbish, { recursive: true });
    },
    scrubbed: () => scrub?.status() ?? { segments: 0, bytes: 0, damaged: 0 },
    space: () => room.space(),
    measure: () => room.measure(),
    async proveReadable() {
      await readdir(segmentsFolder);
      await tables.get('meta/cluster-id');
    },
    failure: () => failure ?? tables.failure(),
    giveUp,
    async close() {
      giveUp();
      await scrub?.close();
      await sealWork;
      const created = await standby?.catch(() => undefined);
      for (const segment of [created, active?.segment, ...sealing.map((each) => each.segment)]) await segment?.close();
      await readers.closeAll();
      await room.close();
      await tables.close();
      await rm(join(folder, 'owner'), { force: true });
    },
  };
}
