// Which records are superseded, against a plain map of the keys: also when there are more keys than fit into memory.

import { expect, test } from 'vitest';
import { encodeBatch, readBatchHeader, stampOffset } from '../../src/formats/batch.ts';
import { thinBatch } from '../../src/formats/thinning.ts';
import { digestOf, KeyMap } from '../../src/log/key-map.ts';
import { lookForSuperseded, type LookNeeds, type Superseded } from '../../src/log/superseded.ts';
import { upTo } from './open-log.ts';

interface One {
  key: string | null;
  isTombstone?: boolean;
  timestampMs?: number;
}

const SEGMENT_BATCHES = 4;
const NOW_MS = 2_000_000_000_000;

/** Batches of three records, four to a segment; the last segment is not sealed. */
function storeOf(records: One[], transform: (batch: Buffer, index: number) => Buffer = (batch) => batch) {
  const batches = upTo(Math.ceil(records.length / 3)).map((index) => {
    const some = records.slice(index * 3, index * 3 + 3);
    const batch = encodeBatch(
      some.map(({ key, isTombstone, timestampMs = 1000 }) => ({
        timestampMs,
        key: key === null ? null : Buffer.from(key),
        value: isTombstone === true ? null : Buffer.from('v'),
      })),
    );
    stampOffset(batch, index * 3, 0);
    return transform(batch, index);
  });
  const last = Math.floor((batches.length - 1) / SEGMENT_BATCHES);
  const segmentAt = (offset: number): number => Math.floor(offset / 3 / SEGMENT_BATCHES);
  return {
    read: (_: number, offset: number) => {
      const from = Math.floor(offset / 3);
      return Promise.resolve(batches.slice(from, (segmentAt(offset) + 1) * SEGMENT_BATCHES));
    },
    rangeAt: (partition: number, offset: number) => {
      const segment = segmentAt(offset);
      const [first, end] = [segment * SEGMENT_BATCHES * 3, (segment + 1) * SEGMENT_BATCHES * 3];
      const range = { partition, firstOffset: first, lastOffset: end - 1, bytes: 1, batches: 1, maxTimestampMs: 1 };
      return Promise.resolve({ ...range, segment, isSealed: segment < last });
    },
    sealedEnd: last * SEGMENT_BATCHES * 3,
  };
}

async function look(records: One[], more: Partial<LookNeeds> = {}, store = storeOf(records)): Promise<Superseded> {
  return lookForSuperseded({
    store,
    partition: {
      number: 1,
      keptStart: 0,
      lastStableOffset: records.length,
      isData: ({ recordCount }) => recordCount > 0,
    },
    map: new KeyMap(1024),
    pinnedOffset: Infinity,
    oldUntilMs: Infinity,
    latestOf: ({ maxTimestampMs }) => maxTimestampMs,
    nowMs: NOW_MS,
    pace: () => Promise.resolve(),
    ...more,
  });
}

function deadOf(found: Superseded, count: number): number[] {
  return upTo(count).filter((ordinal) => found.isDead(ordinal));
}

/** What a plain map says. */
function expectedDead(records: One[], end: number): number[] {
  const latest = new Map(records.map(({ key }, offset) => [key, offset]));
  return upTo(end).filter((offset) => records[offset]!.key !== null && latest.get(records[offset]!.key)! > offset);
}

function drawn(count: number, keys: number): One[] {
  let state = 5;
  const random = (below: number): number => (state = (state * 48271) % 2147483647) % below;
  return upTo(count).map(() => ({ key: random(20) === 0 ? null : `key ${random(keys)}` }));
}

test('all but the latest record of each key, in sealed segments', async () => {
  const records = drawn(300, 40);
  const { sealedEnd } = storeOf(records);
  expect(deadOf(await look(records), 300)).toEqual(expectedDead(records, sealedEnd));
});

test('more keys than the map takes are looked at in classes', async () => {
  const records = drawn(3000, 900);
  const { sealedEnd } = storeOf(records);
  const found = await look(records, { map: new KeyMap(64) });
  expect(deadOf(found, 3000)).toEqual(expectedDead(records, sealedEnd));
});

test('a segment that goes while keys are looked at in classes changes nothing for those behind it', async () => {
  const records = drawn(60, 30);
  const whole = storeOf(records);
  const expected = expectedDead(records, whole.sealedEnd).filter((offset) => offset >= 12);
  let reads = Infinity;
  for (let goneAfter = 0; goneAfter <= reads; goneAfter += 1) {
    reads = 0;
    const from = (offset: number): number => (reads > goneAfter ? Math.max(offset, 12) : offset);
    const found = await look(records, {
      map: new KeyMap(16),
      store: {
        read: (number, offset) => whole.read(number, from(offset)),
        rangeAt: (number, offset) => whole.rangeAt(number, from(offset)),
      },
      pace: async () => void (reads += 1),
    });
    const dead = [1, 2, 3].flatMap((segment) => {
      const { firstOrdinal, endOrdinal } = found.in(segment)!;
      expect(endOrdinal - firstOrdinal).toBe(12);
      return deadOf(found, endOrdinal)
        .filter((ordinal) => ordinal >= firstOrdinal)
        .map((ordinal) => ordinal - firstOrdinal + segment * 12);
    });
    expect(dead, `gone after ${goneAfter} of ${reads} reads`).toEqual(expected);
  }
});

test('records without a key stay, and so does what a mirror has not sent', async () => {
  const records = drawn(300, 10);
  const found = await look(records, { pinnedOffset: 100 });
  expect(found.endOffset).toBe(100);
  // Of the batch that reaches beyond nothing goes.
  expect(deadOf(found, 300)).toEqual(expectedDead(records, 99));
});

test('what is open, aborted or too young supersedes nothing', async () => {
  const records = upTo(60).map((index): One => ({ key: 'k', timestampMs: index < 30 ? 1000 : 5000 }));
  const partition = { number: 1, keptStart: 0, lastStableOffset: 21, isData: () => true };
  expect(deadOf(await look(records, { partition }), 60)).toEqual(upTo(20));
  const isData = ({ baseOffset }: { baseOffset: number }): boolean => baseOffset < 12;
  const aborted = await look(records, { partition: { ...partition, lastStableOffset: 60, isData } });
  expect(deadOf(aborted, 60)).toEqual(upTo(11));
  expect(deadOf(await look(records, { oldUntilMs: 2000 }), 60)).toEqual(upTo(29));
});

test('a tombstone goes after its horizon, when nothing is left that it speaks of', async () => {
  const records = upTo(60).map((index): One => ({ key: `key ${index}`, isTombstone: index % 3 === 0 }));
  records[20] = { key: 'key 30' };
  const withHorizon = (ms: number) => storeOf(records, (batch) => thinBatch(batch, () => true, ms)!);
  const over = await look(records, {}, withHorizon(NOW_MS - 1));
  const sealed = upTo(48).filter((offset) => offset % 3 === 0 && offset !== 30);
  expect(deadOf(over, 60)).toEqual([...sealed, 20].toSorted((a, b) => a - b));
  expect(deadOf(await look(records, {}, withHorizon(NOW_MS + 1)), 60)).toEqual([20]);
  expect(deadOf(await look(records), 60)).toEqual([20]);
});

test('the parts of segments say how many records they have, and what is dead of them', async () => {
  const found = await look(upTo(36).map(() => ({ key: 'k' })));
  expect(found.in(0)).toMatchObject({ firstOrdinal: 0, endOrdinal: 12 });
  expect(found.in(1)).toMatchObject({ firstOrdinal: 12, endOrdinal: 24 });
  expect(found.in(2)).toBeUndefined();
  const bytes = readBatchHeader((await storeOf(upTo(36).map(() => ({ key: 'k' }))).read(1, 0))[0]!).batchLength + 12;
  expect(found.in(0)!.deadBytes).toBeCloseTo(4 * bytes);
});

test('the map knows the latest offset of each key, whether it came before, and when it is full', () => {
  const map = new KeyMap(16);
  const digests = upTo(12).map((index) => digestOf(Buffer.from(`key ${index}`)));
  for (const [offset, digest] of digests.entries()) expect(map.put(digest, offset)).toBe(true);
  expect(map.put(digestOf(Buffer.from('one more')), 12)).toBe(false);
  expect(map.put(digests[3]!, 2 ** 50)).toBe(true);
  expect(map.get(digests[3]!)).toEqual({ offset: 2 ** 50, isRepeated: true });
  expect(map.get(digests[0]!)).toEqual({ offset: 0, isRepeated: false });
  map.clear();
  expect(map.get(digests[0]!)).toBeUndefined();
});
