// What is missing: ranges of offsets that were given to records and whose records the card has lost. Rows of the tables:
//
//   gap/<partition, 8 hex>/<lastOffset, 14 hex>  -> JSON {firstOffset, reason, atMs, isTold}
//
// All of them are in memory, GAPS_MAX at most: then the one that was found first is forgotten, and counted.

import type { Trace } from '../trace.ts';
import type { Change, Tables } from './contract.ts';

export interface Gap {
  /** The store's number of the partition. */
  partition: number;
  firstOffset: number;
  lastOffset: number;
  /** What was wrong, a few words. */
  reason: string;
  /** When it was found, by the wall clock. */
  atMs: number;
  /** A record says so. */
  isTold?: true;
}

export interface Gaps {
  /** Those that lie wholly or in part above what was known: durable on return, and returned. */
  add(found: Gap[]): Promise<Gap[]>;
  /** True when every offset from `first` to `last` lies in a gap. */
  covers(partition: number, first: number, last: number): boolean;
  /** By partition and offset. */
  list(): Gap[];
  /** How many were forgotten, for there were too many. */
  readonly forgotten: number;
  /** Records say so. Durable on return. */
  told(gaps: readonly Gap[]): Promise<void>;
  /** Forgets those that end below what can be read; `logStart` is undefined for a partition that is gone. */
  prune(logStart: (partition: number) => number | undefined): Promise<void>;
}

const PREFIX = 'gap/';
const GAPS_MAX = 1000;
const REASON_LENGTH_MAX = 200;

export async function loadGaps(tables: Tables, trace: Trace): Promise<Gaps> {
  let gaps: Gap[] = [];
  let forgotten = 0;
  for await (const [key, value] of tables.entries(PREFIX)) {
    const [, partition, lastOffset] = key.split('/') as [string, string, string];
    const row = JSON.parse(value.toString('utf8')) as Omit<Gap, 'partition' | 'lastOffset'>;
    gaps.push({ partition: parseInt(partition, 16), lastOffset: parseInt(lastOffset, 16), ...row });
  }

  /** The parts of a range that no gap covers. */
  function uncovered(partition: number, first: number, last: number): [first: number, last: number][] {
    const parts: [number, number][] = [];
    let next = first;
    for (const gap of gaps) {
      if (gap.partition !== partition || gap.lastOffset < next || gap.firstOffset > last) continue;
      if (gap.firstOffset > next) parts.push([next, gap.firstOffset - 1]);
      next = gap.lastOffset + 1;
    }
    if (next <= last) parts.push([next, last]);
    return parts;
  }

  function insert(gap: Gap): void {
    gaps.push(gap);
    gaps.sort((a, b) => a.partition - b.partition || a.firstOffset - b.firstOffset);
  }

  function forgetOldest(): Gap[] {
    const excess = gaps.length - GAPS_MAX;
    if (excess <= 0) return [];
    const oldest = gaps.toSorted((a, b) => a.atMs - b.atMs).slice(0, excess);
    forgotten += excess;
    trace.error('too many gaps are known: the oldest are forgotten', { gaps: excess });
    gaps = gaps.filter((gap) => !oldest.includes(gap));
    return oldest;
  }

  return {
    async add(found) {
      const added: Gap[] = [];
      for (const gap of found) {
        for (const [firstOffset, lastOffset] of uncovered(gap.partition, gap.firstOffset, gap.lastOffset)) {
          const part = { ...gap, firstOffset, lastOffset, reason: gap.reason.slice(0, REASON_LENGTH_MAX) };
          insert(part);
          added.push(part);
        }
      }
      const forgottenRows = forgetOldest().map((gap): Change => [keyOf(gap), null]);
      const rows = added.filter((gap) => gaps.includes(gap)).map((gap): Change => [keyOf(gap), encode(gap)]);
      await tables.write([...forgottenRows, ...rows]);
      return added;
    },
    covers: (partition, first, last) => uncovered(partition, first, last).length === 0,
    list: () => [...gaps],
    get forgotten() {
      return forgotten;
    },
    async told(them) {
      const known = gaps.filter((gap) => them.includes(gap));
      for (const gap of known) gap.isTold = true;
      await tables.write(known.map((gap): Change => [keyOf(gap), encode(gap)]));
    },
    async prune(logStart) {
      const passed = gaps.filter(({ partition, lastOffset }) => lastOffset < (logStart(partition) ?? Infinity));
      gaps = gaps.filter((gap) => !passed.includes(gap));
      await tables.write(passed.map((gap): Change => [keyOf(gap), null]));
    },
  };
}

function keyOf({ partition, lastOffset }: Gap): string {
  return `${PREFIX}${partition.toString(16).padStart(8, '0')}/${lastOffset.toString(16).padStart(14, '0')}`;
}

function encode({ firstOffset, reason, atMs, isTold }: Gap): Buffer {
  return Buffer.from(JSON.stringify({ firstOffset, reason, atMs, isTold }));
}
