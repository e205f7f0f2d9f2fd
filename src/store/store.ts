// The store: what lies on the card. A series of small LevelDBs (segments) holds the batches of all partitions; one more
// (tables) holds what need not be atomic with records. This is the only room that imports classic-level.
//
// The folder:   owner                the pid of the process that has it open, for a second one's error message
//               tables/              LevelDB of small rows, the catalogue among them
//               segments/0000002a/   LevelDB of batches, marks and a commit number (keys.ts)
//
// A write never half-fails. LevelDB's state is unknown after an error (later writes "succeed" and are lost), so the
// segment is closed and opened again and the same write is repeated, with the same keys, until it is there. While that
// lasts `failure()` says why, and the log refuses new work.

import assert from 'node:assert';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import { loadCatalogue, type LocatedRange, type SealedSegment } from './catalogue.ts';
import { whenDiskHasRoom } from './disk-room.ts';
import { findUnsealed, takeFolder, unavailable, unreadable } from './folder.ts';
import { COMMIT_KEY, COMPLETE_KEY, batchKey, encodeCommitNumber, markKey } from './keys.ts';
import { isDiskFull, type LevelOperation } from './level.ts';
import { account, emptyOpen, scanSegment, type OpenSegment } from './open-segment.ts';
import { openReaders } from './readers.ts';
import { Segment, type Describe, type Range } from './segment.ts';

export type { LocatedRange, SealedSegment } from './catalogue.ts';
export type { Describe, Range } from './segment.ts';

/** One encoded batch on its way to the card. `value` belongs to the store until `write` settles. */
export interface BatchWrite {
  /** The store's number of the partition: unique for ever, below 0xff000000. */
  partition: number;
  firstOffset: number;
  lastOffset: number;
  /** Largest record timestamp in the batch, ms. */
  maxTimestampMs: number;
  value: Buffer;
}

/** A change of a mark or of a table's row; `null` removes it. */
export type Change = [key: string, value: Buffer | null];

/**
 * Small rows beside the log: topic definitions, MQTT sessions and retained messages, positions. Keys are strings; the
 * part before the first `/` names the table. Every write is synced, and writes that wait together share one sync.
 */
export interface Tables {
  get(key: string): Promise<Buffer | undefined>;
  /** All rows whose key starts with `prefix`, in key order, from the key `from` on. */
  entries(prefix: string, from?: string): AsyncIterable<[key: string, value: Buffer]>;
  /** Resolves when all the changes are on the card (all of them or, after a crash, none). */
  write(changes: Change[]): Promise<void>;
}

export interface Store {
  readonly tables: Tables;
  /** Reads what was not sealed before the last stop and makes the store writable. Called once, before anything else. */
  recover(hooks: RecoverHooks): Promise<void>;
  /**
   * One atomic write, on the card when it resolves; one at a time. Rejects (STORE_UNAVAILABLE) only after `giveUp`: then
   * it is there wholly or not at all.
   */
  write(batches: BatchWrite[], marks: Change[]): Promise<void>;
  /**
   * Batches from the one that holds `offset` (or the next one there is), up to about `bytesMax`, at least one. Throws
   * STORE_CORRUPT, STORE_UNAVAILABLE.
   */
  read(partition: number, offset: number, bytesMax: number): Promise<Buffer[]>;
  /** The segment's part of a partition that holds `offset`, or else the next one; undefined behind the end. */
  rangeAt(partition: number, offset: number): Promise<LocatedRange | undefined>;
  /** What the store holds of all partitions, in no order. */
  allRanges(): AsyncIterable<LocatedRange>;
  marks(prefix: string): Iterable<[key: string, value: Buffer]>;
  /** Sealed segments, oldest first. */
  sealed(): SealedSegment[];
  rangesIn(id: number): Promise<Range[]>;
  /** Resolves when all segments that were full at the call are sealed, or the store closes; at once if there is none. */
  whenSealed(): Promise<void>;
  /** Removes a sealed segment; its space is free on return. */
  remove(id: number): Promise<void>;
  /** Bytes of all files, the part that is being written estimated. */
  diskBytes(): number;
  /** Why the card refuses writes at present. */
  failure(): string | undefined;
  /** Before closing: from here on a write that fails is not repeated until it is there, it rejects, and so do all after it. */
  giveUp(): void;
  close(): Promise<void>;
}

/** What the store must be told about the batches that it keeps. */
export interface RecoverHooks {
  describe: Describe;
  /** Sees each batch of the segments that were not sealed, oldest first. */
  visit: (partition: number, batch: Buffer) => void;
  /** What a sealed segment held whose folder is gone; the store forgets it afterwards. */
  onLost: (ranges: Range[]) => Promise<void>;
  /** Marks to set afresh at each roll: a snapshot of what the reader of a segment's batches must know before them. */
  carry: () => Change[];
}

export interface StoreNeeds {
  folder: string;
  clock: Clock;
  trace: Trace;
  /** LevelDB's memtable; a segment is sealed at 4.5 times this. Default 8 MiB; tests use less. */
  writeBufferBytes?: number;
}

const WRITE_BUFFER_BYTES = 8 * 1024 * 1024;
// Five memtable flushes land in levels 2, 1 and 0 without LevelDB rewriting any of them; a sixth would.
const MEMTABLES_PER_SEGMENT = 4.5;
const RETRY_MS = 1000;
/** On a full disk a segment is opened again when there is room for what is in its memory, twice, and some more. */
const MEMTABLES_FOR_OPENING = 3;

/** Opens the folder, made when missing. Throws STORE_LOCKED (naming the owner's pid) or STORE_UNAVAILABLE. */
export async function openStore(needs: StoreNeeds): Promise<Store> {
  const { folder, clock } = needs;
  const trace = needs.trace.room('store');
  const writeBufferBytes = needs.writeBufferBytes ?? WRITE_BUFFER_BYTES;
  const segmentBytesMax = writeBufferBytes * MEMTABLES_PER_SEGMENT;
  const roomForOpening = writeBufferBytes * MEMTABLES_FOR_OPENING;
  const segmentsFolder = join(folder, 'segments');

  const tables = await takeFolder(folder, clock, trace);
  const catalogue = await loadCatalogue(tables);
  const readers = openReaders(openSegment, clock);

  const marks = new Map<string, Buffer>();
  const sealing: OpenSegment[] = [];
  const closing = new AbortController();
  let active: OpenSegment | undefined;
  let standby: Promise<Segment> | undefined;
  let sealWork: Promise<void> = Promise.resolve();
  let nextId = 1;
  let commit = 0;
  let failure: string | undefined;
  let isWriting = false;
  let carry: () => Change[] = () => [];

  function folderOf(id: number): string {
    return join(segmentsFolder, id.toString(16).padStart(8, '0'));
  }

  function openSegment(id: number): Promise<Segment> {
    return Segment.open(id, folderOf(id), writeBufferBytes);
  }

  async function recover(hooks: RecoverHooks): Promise<void> {
    carry = hooks.carry;
    await mkdir(segmentsFolder, { recursive: true });
    const unsealed = await findUnsealed(segmentsFolder, catalogue, trace, hooks.onLost);
    nextId = 1 + Math.max(0, ...unsealed, ...catalogue.sealed().map((each) => each.id));
    for (const id of unsealed) {
      const found = await scanSegment(await openSegment(id), hooks);
      if (found === undefined) {
        await rm(folderOf(id), { recursive: true });
        continue;
      }
      // LevelDB keeps all that was read mapped into memory, for as long as it is open.
      await found.open.segment.close();
      found.open.segment = await openSegment(id);
      await becomeActive(found.open, found.commit);
    }
    if (active === undefined) {
      await inheritMarks();
      active = emptyOpen(await createSegment());
    }
    prepareStandby();
  }

  async function becomeActive(open: OpenSegment, lastCommit: number): Promise<void> {
    if (active !== undefined) {
      sealing.push(active);
      seal(active);
    }
    active = open;
    commit = lastCommit;
    marks.clear();
    for (const [key, value] of await open.segment.marks()) marks.set(key, value);
  }

  /** Without an active segment the newest sealed one has the complete set of marks. */
  async function inheritMarks(): Promise<void> {
    const newest = catalogue.sealed().at(-1);
    if (newest === undefined) return;
    await readers.use(newest.id, async (segment) => {
      for (const [key, value] of await segment.marks()) marks.set(key, value);
      commit = (await segment.lastCommit()) ?? 0;
    });
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
        await catalogue.add({ id: full.segment.id, bytes, batches, diskBytes }, [...full.ranges.values()]);
        sealing.splice(sealing.indexOf(full), 1);
        readers.adopt(full.segment);
        return;
      } catch (error) {
        // What is not sealed is scanned again at the next start: nothing is lost by trying later.
        trace.limited('sealing a segment failed, trying again', { segment: full.segment.id, reason: messageOf(error) });
        await clock.sleep(RETRY_MS, closing.signal);
      }
    }
  }

  async function write(batches: BatchWrite[], changes: Change[]): Promise<void> {
    assert(!isWriting, 'one write at a time');
    isWriting = true;
    try {
      await writeUntilThere(batches, changes);
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
        const open = active.fillBytes >= segmentBytesMax ? await roll(active) : active;
        const isFirst = !open.hasMarks;
        await open.segment.write(operationsOf(batches, changes, open));
        commit += 1;
        account(open, batches);
        failure = undefined;
        // Until then the one before has the only whole set of marks: what is not sealed can't be removed.
        const before = sealing.at(-1);
        if (isFirst && before !== undefined) seal(before);
        return;
      } catch (error) {
        failure = isDiskFull(error) ? 'the disk is full' : messageOf(error);
        trace.limited('a write failed; opening the segment again and repeating it', { reason: failure });
        if (isDiskFull(error)) await whenDiskHasRoom(folder, roomForOpening, clock, closing.signal);
        if (!closing.signal.aborted) await reopenActive();
      }
    }
  }

  function operationsOf(batches: BatchWrite[], changes: Change[], open: OpenSegment): LevelOperation[] {
    const operations: LevelOperation[] = batches.map((each) => ({
      type: 'put',
      key: batchKey(each.partition, each.lastOffset),
      value: each.value,
    }));
    if (!open.hasMarks) {
      keep(carry());
      for (const [name, value] of marks) operations.push({ type: 'put', key: markKey(name), value });
      operations.push({ type: 'put', key: COMPLETE_KEY, value: Buffer.alloc(0) });
    }
    for (const [name, value] of changes) {
      const key = markKey(name);
      operations.push(value === null ? { type: 'del', key } : { type: 'put', key, value });
    }
    operations.push({ type: 'put', key: COMMIT_KEY, value: encodeCommitNumber(commit + 1) });
    return operations;
  }

  async function reopenActive(): Promise<void> {
    assert(active !== undefined, 'a write came before');
    const { id } = active.segment;
    await active.segment.close().catch(() => undefined);
    while (!closing.signal.aborted) {
      try {
        active.segment = await openSegment(id);
        return;
      } catch (error) {
        failure = isDiskFull(error) ? 'the disk is full' : messageOf(error);
        await clock.sleep(RETRY_MS, closing.signal);
      }
    }
  }

  function giveUp(): void {
    closing.abort();
    tables.giveUp();
  }

  /** The segment in memory that holds `offset` of a partition, the oldest first. */
  function openHolding(partition: number, offset: number): OpenSegment | undefined {
    for (const open of [...sealing, active]) {
      const range = open?.ranges.get(partition);
      if (range !== undefined && offset <= range.lastOffset) return open;
    }
    return undefined;
  }

  async function findBatches(partition: number, offset: number, bytesMax: number): Promise<Buffer[]> {
    const firstInMemory = openHolding(partition, 0)?.ranges.get(partition)?.firstOffset ?? Infinity;
    if (offset < firstInMemory) {
      for await (const range of catalogue.rangesOf(partition, offset)) {
        const batches = await readers.use(range.segment, (segment) => segment.read(partition, offset, bytesMax));
        if (batches.length > 0) return batches;
      }
    }
    const open = openHolding(partition, offset);
    if (open === undefined) return [];
    return open.segment.during((segment) => segment.read(partition, offset, bytesMax));
  }

  async function findRange(partition: number, offset: number): Promise<LocatedRange | undefined> {
    const open = openHolding(partition, offset);
    const range = open?.ranges.get(partition);
    if (range === undefined || range.firstOffset > offset) {
      for await (const sealed of catalogue.rangesOf(partition, offset)) return sealed;
    }
    // The segment may have been sealed since it was found, its number stays the same.
    return range === undefined ? undefined : { ...range, segment: open!.segment.id };
  }

  function* openRanges(): Iterable<LocatedRange> {
    for (const open of [...sealing, active]) {
      if (open === undefined) continue;
      for (const range of open.ranges.values()) yield { ...range, segment: open.segment.id };
    }
  }

  return {
    tables,
    recover,
    write,
    async read(partition, offset, bytesMax) {
      try {
        return await findBatches(partition, offset, bytesMax);
      } catch (error) {
        throw unreadable(`partition ${partition} from offset ${offset} on`, error);
      }
    },
    async rangeAt(partition, offset) {
      try {
        return await findRange(partition, offset);
      } catch (error) {
        throw unreadable(`the catalogue of partition ${partition}`, error);
      }
    },
    async *allRanges() {
      // What is sealed meanwhile moves to the catalogue: it is told once.
      const open = [...openRanges()];
      const told = new Set(open.map(({ segment }) => segment));
      yield* open;
      for await (const range of catalogue.allRanges()) if (!told.has(range.segment)) yield range;
    },
    *marks(prefix) {
      for (const entry of marks) if (entry[0].startsWith(prefix)) yield entry;
    },
    sealed: () => catalogue.sealed(),
    rangesIn: (id) => catalogue.rangesIn(id),
    whenSealed: () => sealWork,
    async remove(id) {
      assert(catalogue.has(id), `segment ${id} is sealed`);
      await readers.close(id);
      // The new name says that the folder is rubbish, whatever the catalogue still says after a crash.
      const rubbish = `${folderOf(id)}.removed`;
      await rename(folderOf(id), rubbish);
      await catalogue.remove(id);
      await rm(rubbish, { recursive: true });
    },
    diskBytes() {
      let bytes = 0;
      for (const each of catalogue.sealed()) bytes += each.diskBytes;
      // LevelDB keeps a log beside the tables of what is still in memory: at most two memtables more.
      for (const open of [...sealing, active]) bytes += (open?.fillBytes ?? 0) + 2 * writeBufferBytes;
      return bytes;
    },
    failure: () => failure ?? tables.failure(),
    giveUp,
    async close() {
      giveUp();
      await sealWork;
      const created = await standby?.catch(() => undefined);
      for (const segment of [created, active?.segment, ...sealing.map((each) => each.segment)]) await segment?.close();
      await readers.closeAll();
      await tables.close();
      await rm(join(folder, 'owner'), { force: true });
    },
  };
}
