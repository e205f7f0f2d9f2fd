// The rules of the count themselves: each difference is found, and what is allowed is none.

import { expect, test } from 'vitest';
import type { KcatRecord } from './kcat.ts';
import { Sightings, type Writer } from './sightings.ts';

/** A record of writer `w`: its number, and its offset. */
type At = [number: number, offset: number];

function writer(over: Partial<Writer> = {}): Writer {
  const all = { name: 'w', topic: 't', rule: 'once', made: 6, connections: 1 } as const;
  return { ...all, sends: () => 1, isAcked: () => true, keyOf: () => 'k', ...over };
}

function record([number, offset]: At, partition = 0): KcatRecord {
  return { partition, offset, timestampMs: 0, key: Buffer.from('k'), value: Buffer.from(`{"from":"w","n":${number}}`) };
}

function saw(records: At[], of = writer()): Sightings {
  const sightings = new Sightings([of], (_, { value }) => JSON.parse(String(value)) as { from: string; n: number });
  sightings.add(
    't',
    records.map((each) => record(each)),
  );
  return sightings;
}

function inOrder(numbers: number[]): At[] {
  return numbers.map((number, offset) => [number, offset]);
}

const GAP = { topic: 't', partition: 0, firstOffset: 2, lastOffset: 3 };

test.each<[string, At[], Partial<Writer>, string[]]>([
  ['all there', inOrder([0, 1, 2, 3, 4, 5]), {}, []],
  ['one missing', inOrder([0, 1, 3, 4, 5]), {}, ['lost']],
  ['one missing that nobody acknowledged', inOrder([0, 1, 3, 4, 5]), { isAcked: (n) => n !== 2 }, []],
  ['one twice', inOrder([0, 1, 2, 3, 4, 5, 5]), {}, ['doubled', 'reordered']],
  ['one twice that was sent twice', inOrder([0, 1, 2, 3, 4, 5, 5]), AGAIN(2), []],
  ['one three times that was sent twice', inOrder([0, 1, 2, 3, 4, 5, 5, 5]), AGAIN(3), ['doubled']],
  ['starts over without a new connection', inOrder([0, 1, 2, 3, 4, 5, 4, 5]), AGAIN(1), ['reordered']],
  ['two the wrong way round', inOrder([0, 1, 3, 2, 4, 5]), AGAIN(2), ['reordered']],
  ['one that was not made', inOrder([0, 1, 2, 3, 4, 5, 6]), {}, ['foreign']],
  ['a key of another', inOrder([0, 1, 2, 3, 4, 5]), { keyOf: (n) => (n === 3 ? 'other' : 'k') }, ['foreign']],
])('%s', (_, records, over, kinds) => {
  const { differences } = saw(records, writer(over)).compare();
  expect(differences.map(({ kind }) => kind)).toEqual(kinds);
});

function AGAIN(connections: number): Partial<Writer> {
  return { rule: 'each sending', connections, sends: () => 2 };
}

test('what is lost where a gap is told is no difference, and is counted once', () => {
  const sightings = saw([
    [0, 0],
    [1, 1],
    [4, 4],
    [5, 5],
  ]);
  expect(sightings.compare([GAP])).toEqual({ differences: [], told: 2, again: 0 });
  expect(sightings.compare([GAP])).toEqual({ differences: [], told: 0, again: 0 });
});

test('a gap elsewhere tells nothing', () => {
  const sightings = saw([
    [0, 0],
    [1, 1],
    [4, 4],
    [5, 5],
  ]);
  expect(sightings.compare([{ ...GAP, firstOffset: 4, lastOffset: 4 }]).differences.map(({ kind }) => kind)).toEqual([
    'lost',
    'lost',
    'wrong gap',
  ]);
});

test('what was read once is there for good, or in a gap', () => {
  const before = saw(inOrder([0, 1, 2, 3, 4, 5]));
  const after = saw([
    [0, 0],
    [1, 1],
    [3, 4],
    [4, 5],
    [5, 6],
  ]);
  const kinds = (gaps = [GAP]): string[] => after.compareWith(before, gaps).map(({ kind }) => kind);
  // 2 and 3 were where the gap is; 3 was sent again.
  expect(kinds()).toEqual(['moved', 'moved']);
  expect(kinds([])).toEqual(['lost', 'moved', 'moved', 'moved']);
});

test('a key in two partitions', () => {
  const sightings = saw([[0, 0]]);
  sightings.add('t', [record([1, 0], 1)]);
  expect(sightings.compare().differences.map(({ kind }) => kind)).toContain('moved');
});
