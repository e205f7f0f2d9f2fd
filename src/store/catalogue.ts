// The store's own list of sealed segments and of what they hold, kept as rows of the tables. LevelDB can't be asked: one
// that lost its MANIFEST opens empty without an error. Only totals are in memory, so that it does not grow with the log.
//
//   segment/<id, 8 hex>                           -> JSON SegmentRow: totals and all ranges
//   range/<partition, 8 hex>/<lastOffset, 14 hex>  -> JSON RangeRow: which segment holds this part of a partition
//
// Hex of a fixed width sorts as the numbers do.

import type { Range } from './segment.ts';
import type { Change, Tables } from './store.ts';

export interface SealedSegment {
  id: number;
  /** Bytes of the batches. */
  bytes: number;
  /** Bytes of the folder's files. */
  diskBytes: number;
  batches: number;
}

interface SegmentRow extends SealedSegment {
  /** [partition, firstOffset, lastOffset, bytes, batches, maxTimestampMs] */
  ranges: [number, number, number, number, number, number][];
}

interface RangeRow {
  segment: number;
  firstOffset: number;
  bytes: number;
  batches: number;
  maxTimestampMs: number;
}

export interface LocatedRange extends Range {
  segment: number;
}

export interface Catalogue {
  /** Oldest first. */
  sealed(): SealedSegment[];
  has(id: number): boolean;
  /** Durable on return. */
  add(segment: SealedSegment, ranges: Range[]): Promise<void>;
  /** Durable on return. */
  remove(id: number): Promise<void>;
  /** What one segment holds. */
  rangesIn(id: number): Promise<Range[]>;
  /** What the sealed segments hold of one partition from `offset` on, oldest first. */
  rangesOf(partition: number, offset?: number): AsyncIterable<LocatedRange>;
  /** What the sealed segments hold of all partitions. */
  allRanges(): AsyncIterable<LocatedRange>;
}

export async function loadCatalogue(tables: Tables): Promise<Catalogue> {
  const segments = new Map<number, SealedSegment>();
  for await (const [, value] of tables.entries('segment/')) {
    const { id, bytes, diskBytes, batches } = parse<SegmentRow>(value);
    segments.set(id, { id, bytes, diskBytes, batches });
  }

  async function rangesIn(id: number): Promise<Range[]> {
    const value = await tables.get(segmentKey(id));
    if (value === undefined) return [];
    return parse<SegmentRow>(value).ranges.map(
      ([partition, firstOffset, lastOffset, bytes, batches, maxTimestampMs]) => ({
        partition,
        firstOffset,
        lastOffset,
        bytes,
        batches,
        maxTimestampMs,
      }),
    );
  }

  async function* located(prefix: string, from: string): AsyncIterable<LocatedRange> {
    for await (const [key, value] of tables.entries(prefix, from)) {
      const [, partition, lastOffset] = key.split('/') as [string, string, string];
      const row = parse<RangeRow>(value);
      yield { ...row, partition: parseInt(partition, 16), lastOffset: parseInt(lastOffset, 16) };
    }
  }

  return {
    sealed: () => [...segments.values()].toSorted((a, b) => a.id - b.id),
    has: (id) => segments.has(id),
    async add(segment, ranges) {
      const row: SegmentRow = {
        ...segment,
        ranges: ranges.map((r) => [r.partition, r.firstOffset, r.lastOffset, r.bytes, r.batches, r.maxTimestampMs]),
      };
      const changes: Change[] = [[segmentKey(segment.id), encode(row)]];
      for (const range of ranges) {
        const { firstOffset, bytes, batches, maxTimestampMs } = range;
        const value: RangeRow = { segment: segment.id, firstOffset, bytes, batches, maxTimestampMs };
        changes.push([rangeKey(range.partition, range.lastOffset), encode(value)]);
      }
      await tables.write(changes);
      segments.set(segment.id, segment);
    },
    async remove(id) {
      const ranges = await rangesIn(id);
      const changes: Change[] = [[segmentKey(id), null]];
      for (const range of ranges) changes.push([rangeKey(range.partition, range.lastOffset), null]);
      await tables.write(changes);
      segments.delete(id);
    },
    rangesIn,
    rangesOf: (partition, offset = 0) => located(`range/${hex(partition, 8)}/`, rangeKey(partition, offset)),
    allRanges: () => located('range/', 'range/'),
  };
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

function encode(row: SegmentRow | RangeRow): Buffer {
  return Buffer.from(JSON.stringify(row));
}

function parse<T>(value: Buffer): T {
  return JSON.parse(value.toString('utf8')) as T;
}
