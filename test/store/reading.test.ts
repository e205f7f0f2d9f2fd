// Where a read finds the next batch: among segments in memory and sealed ones, in whatever order they are, and while one goes
// from the ones to the others.

import { expect, test } from 'vitest';
import type { LocatedRange } from '../../src/store/catalogue.ts';
import type { OpenSegment } from '../../src/store/open-segment.ts';
import { Reading } from '../../src/store/reading.ts';

/** A segment of one partition: its number, and the offsets that it holds, each a batch. */
interface Held {
  segment: number;
  firstOffset: number;
  lastOffset: number;
}

function reading(inMemory: Held[], sealed: Held[], onCatalogue: () => void = () => undefined): Reading {
  const opens = new Map(inMemory.map((each) => [each, openOf(each)]));
  const find = (offset: number): OpenSegment | undefined => {
    const held = inMemory.find(({ lastOffset }) => offset <= lastOffset);
    return held === undefined ? undefined : (opens.get(held) ?? openOf(held));
  };
  return new Reading({
    catalogue: {
      has: () => true,
      async *rangesOf(_: number, offset = 0) {
        onCatalogue();
        for (const each of sealed) if (each.lastOffset >= offset) yield each as LocatedRange;
      },
    } as never,
    readers: {
      use: (id: number, act: (segment: unknown) => unknown) => Promise.resolve(act(segmentOf(sealed, id))),
    } as never,
    gaps: { covers: () => false } as never,
    mending: { settled: () => Promise.resolve() } as never,
    describe: (batch) => ({ firstOffset: batch[0]!, lastOffset: batch[0]!, maxTimestampMs: 0 }),
    openHolding: (_, offset) => find(offset),
    open: () => opens.values(),
    suspect: () => undefined,
  });
}

function segmentOf(held: Held[], id: number) {
  const { firstOffset, lastOffset } = held.find(({ segment }) => segment === id)!;
  return {
    read: (_: number, offset: number): Buffer[] => {
      const from = Math.max(offset, firstOffset);
      return Array.from({ length: Math.max(0, lastOffset + 1 - from) }, (_, index) => Buffer.of(from + index));
    },
  };
}

function openOf(held: Held): OpenSegment {
  const segment = {
    id: held.segment,
    during: (act: (each: unknown) => unknown) => Promise.resolve(act(segmentOf([held], held.segment))),
  };
  return { segment, ranges: new Map([[1, held]]) } as unknown as OpenSegment;
}

async function firstFrom(of: Reading, offset: number): Promise<number | undefined> {
  return (await of.batches(1, offset, 1000))[0]?.[0];
}

const OLD = { segment: 1, firstOffset: 0, lastOffset: 9 };
const MIDDLE = { segment: 2, firstOffset: 10, lastOffset: 19 };
const NEW = { segment: 3, firstOffset: 20, lastOffset: 29 };

test('a segment in memory that is older than a sealed one hides nothing of it', async () => {
  const of = reading([OLD, NEW], [MIDDLE]);
  for (const offset of [0, 9, 10, 15, 19, 20, 29]) expect(await firstFrom(of, offset)).toBe(offset);
  expect(await firstFrom(of, 30)).toBeUndefined();
});

test('a sealed segment that is newer than what is in memory is read in its turn', async () => {
  const of = reading([MIDDLE], [OLD, NEW]);
  for (const offset of [0, 9, 10, 19, 20, 29]) expect(await firstFrom(of, offset)).toBe(offset);
});

test('the range that holds an offset, or the next one, is found likewise', async () => {
  const at = async (of: Reading, offset: number) => (await of.rangeAt(1, offset))?.segment;
  const of = reading([OLD, { ...NEW, firstOffset: 25 }], [MIDDLE]);
  expect([await at(of, 5), await at(of, 12), await at(of, 22), await at(of, 30)]).toEqual([1, 2, 3, undefined]);
  expect(await at(reading([MIDDLE], [NEW]), 5)).toBe(2);
});

test('a segment that is sealed while the catalogue is asked is not skipped', async () => {
  const [inMemory, sealed] = [[MIDDLE, NEW], [] as Held[]];
  // Offsets below it were removed.
  const of = reading(inMemory, sealed, () => {
    if (inMemory[0] !== MIDDLE) return;
    // It has just been asked, and what it tells is from before.
    queueMicrotask(() => {
      inMemory.shift();
      sealed.push(MIDDLE);
    });
  });
  expect(await firstFrom(of, 5)).toBe(10);
});
