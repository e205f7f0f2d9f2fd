// The store's own list of sealed segments and of what they hold, kept as rows of the tables. LevelDB can't be asked: one
// that lost its MANIFEST opens empty without an error. Only totals are in memory, so that it does not grow with the log.
//
//   segment/<id, 8 hex>                           -> JSON SegmentRow: totals and all ranges
//   range/<partition, 8 hex>/<lastOffset, 14 hex>  -> JSON RangeRow: which segment holds this part of a partition
//
// Hex of a fixed width sorts as the numbers do.

import type { Range, UnsureTime } from './segment.ts';
import type { Change, Tables } from './contract.ts';

export interface SealedRow {
  id: number;
  /** Bytes of the batches. */
  bytes: number;
  /** Bytes of the folder's files. */
  diskBytes: number;
  batches: number;
  /** The segment that was written next. */
  next?: number;
}

/** The last two only where a boot's own time stamped some: the latest of those boots, and its largest timestamp. */
type RangeTuple = [
  partition: number,
  firstOffset: number,
  lastOffset: number,
  bytes: number,
  batches: number,
  maxTimestampMs: number,
  boot?: number,
  bootTimestampMs?: number,
];

interface SegmentRow extends SealedRow {
  ranges: RangeTuple[];
}

interface RangeRow {
  segment: number;
  firstOffset: number;
  bytes: number;
  batches: number;
  maxTimestampMs: number;
  unsure?: UnsureTime;
}

export interface LocatedRange extends Range {
  segment: number;
  isSealed: boolean;
}

export interface Catalogue {
  /** Oldest first. */
  sealed(): SealedRow[];
  has(id: number): boolean;
  /** The segment that was begun when the newest one was sealed, which may be gone by now. */
  next(): number | undefined;
  /** Of all their folders. */
  diskBytes(): number;
  /** In the place of what was known of it. Durable on return. */
  add(segment: SealedRow, ranges: Range[]): Promise<void>;
  /** In the place of some, all at once. Durable on return. */
  replace(ids: readonly number[], segment: SealedRow, ranges: Range[]): Promise<void>;
  /** Durable on return. */
  remove(id: number): Promise<void>;
  /** The newest segment's `next` is lost, which is known by now. Durable on return. */
  forgetNext(): Promise<void>;
  /** After rows were lost: a segment's own row says which ranges there must be. Durable on return. */
  mendRanges(): Promise<void>;
  /** What one segment holds. */
  rangesIn(id: number): Promise<Range[]>;
  /** What the sealed segments hold of one partition from `offset` on, oldest first. */
  rangesOf(partition: number, offset?: number): AsyncIterable<LocatedRange>;
  /** What the sealed segments hold of all partitions. */
  allRanges(): AsyncIterable<LocatedRange>;
}

/** Not a row of the segment: that one may go before those that are older. */
const NEXT_KEY = 'newest/next';

export async function loadCatalogue(tables: Tables): Promise<Catalogue> {
  const segments = new Map<number, SealedRow>();
  let diskBytes = 0;
  for await (const [, value] of tables.entries('segment/')) {
    const { ranges: _, ...segment } = parse<SegmentRow>(value);
    keep(segment);
  }

  const newest = segments.get(Math.max(...segments.keys()));
  let next = Number((await tables.get(NEXT_KEY))?.toString() ?? newest?.next ?? 0);

  function keep(segment: SealedRow): void {
    forget(segment.id);
    segments.set(segment.id, segment);
    diskBytes += segment.diskBytes;
  }

  function forget(id: number): void {
    diskBytes -= segments.get(id)?.diskBytes ?? 0;
    segments.delete(id);
  }

  async function rangesIn(id: number): Promise<Range[]> {
    const value = await tables.get(segmentKey(id));
    if (value === undefined) return [];
    return parse<SegmentRow>(value).ranges.map(rangeOf);
  }

  async function removal(id: number): Promise<Change[]> {
    if (!segments.has(id)) return [];
    const ranges = await rangesIn(id);
    const rows = ranges.map(({ partition, lastOffset }): Change => [rangeKey(partition, lastOffset), null]);
    return [[segmentKey(id), null], ...rows];
  }

  async function* located(prefix: string, from: string): AsyncIterable<LocatedRange> {
    for await (const [key, value] of tables.entries(prefix, from)) {
      const [, partition, lastOffset] = key.split('/') as [string, string, string];
      const row = parse<RangeRow>(value);
      yield { ...row, partition: parseInt(partition, 16), lastOffset: parseInt(lastOffset, 16), isSealed: true };
    }
  }

  const catalogue: Catalogue = {
    sealed: () => [...segments.values()].toSorted((a, b) => a.id - b.id),
    has: (id) => segments.has(id),
    next: () => (next === 0 ? undefined : next),
    diskBytes: () => diskBytes,
    add: (segment, ranges) => catalogue.replace([segment.id], segment, ranges),
    async replace(ids, segment, ranges) {
      const row: SegmentRow = {
        ...segment,
        ranges: ranges.map(tupleOf),
      };
      const changes: Change[] = [];
      for (const id of ids) changes.push(...(await removal(id)));
      changes.push([segmentKey(segment.id), encode(row)]);
      for (const range of ranges) {
        changes.push([rangeKey(range.partition, range.lastOffset), encodeRange(segment.id, range)]);
      }
      if (!segments.has(segment.id) && segment.next !== undefined && segment.next > next) {
        next = segment.next;
        changes.push([NEXT_KEY, Buffer.from(String(next))]);
      }
      await tables.write(changes);
      for (const id of ids) if (id !== segment.id) forget(id);
      keep(segment);
    },
    async remove(id) {
      await tables.write(await removal(id));
      forget(id);
    },
    async forgetNext() {
      next = 0;
      await tables.write([[NEXT_KEY, Buffer.from('0')]]);
    },
    async mendRanges() {
      const changes: Change[] = [];
      for await (const range of located('range/', 'range/')) {
        if (!segments.has(range.segment)) changes.push([rangeKey(range.partition, range.lastOffset), null]);
      }
      for (const id of segments.keys()) {
        for (const range of await rangesIn(id)) {
          changes.push([rangeKey(range.partition, range.lastOffset), encodeRange(id, range)]);
        }
      }
      await tables.write(changes);
    },
    rangesIn,
    rangesOf: (partition, offset = 0) => located(`range/${hex(partition, 8)}/`, rangeKey(partition, offset)),
    allRanges: () => located('range/', 'range/'),
  };
  return catalogue;
}

function segmentKey(id: number): string {
  return `segment/${hex(id, 8)}`;
}

function rangeKey(partition: number, lastOffset: number): string {
  return `range/${hex(partition, 8)}/${hex(lastOffset, 14)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function tupleOf(range: Range): RangeTuple {
  const { partition, firstOffset, lastOffset, bytes, batches, maxTimestampMs, unsure } = range;
  const known: RangeTuple = [partition, firstOffset, lastOffset, bytes, batches, maxTimestampMs];
  if (unsure !== undefined) known.push(unsure.boot, unsure.maxTimestampMs);
  return known;
}

function rangeOf([
  partition,
  firstOffset,
  lastOffset,
  bytes,
  batches,
  maxTimestampMs,
  boot,
  bootMs,
]: RangeTuple): Range {
  const range: Range = { partition, firstOffset, lastOffset, bytes, batches, maxTimestampMs };
  if (boot !== undefined && bootMs !== undefined) range.unsure = { boot, maxTimestampMs: bootMs };
  return range;
}

function encodeRange(segment: number, { firstOffset, bytes, batches, maxTimestampMs, unsure }: Range): Buffer {
  return encode({ segment, firstOffset, bytes, batches, maxTimestampMs, ...(unsure !== undefined && { unsure }) });
}

function encode(row: SegmentRow | RangeRow): Buffer {
  return Buffer.from(JSON.stringify(row));
}

function parse<T>(value: Buffer): T {
  return JSON.parse(value.toString('utf8')) as T;
}
