// The tail beside a plain list of all that was ever added.

import { expect, test } from 'vitest';
import { Tail } from '../../src/log/tail.ts';
import { seeded } from '../parts/serial-noise.ts';

const RING_BYTES = 1000;

function batchOf(partition: number, offset: number, length: number): Buffer {
  return Buffer.alloc(length, `${partition}/${offset} `);
}

test('what it gives is what was added, from the offset on and without a gap', () => {
  const tail = new Tail(RING_BYTES);
  const added = new Map<number, Buffer[]>();
  const random = seeded(7);
  const below = (limit: number): number => Math.floor(random() * limit);
  for (let step = 0; step < 5000; step += 1) {
    const partition = below(3);
    const list = added.get(partition) ?? [];
    added.set(partition, list);
    const batch = batchOf(partition, list.length, 1 + below(below(20) === 0 ? RING_BYTES : 60));
    tail.add(partition, list.length, list.length, batch);
    list.push(Buffer.from(batch));
    // What was handed in is its owner's to use again.
    batch.fill(0);
    expect(tail.read(partition, list.length - 1, 1)).toEqual(list.slice(-1));
    for (const [each, all] of added) {
      const offset = Math.max(0, all.length - below(12));
      const found = tail.read(each, offset, 200);
      if (found === undefined) continue;
      expect(found).toEqual(all.slice(offset, offset + found.length));
      const bytes = found.reduce((sum, { length }) => sum + length, 0);
      expect(found.length <= 1 || bytes <= 200).toBe(true);
    }
  }
});

test('as much is kept as the ring holds', () => {
  const tail = new Tail(RING_BYTES);
  for (let offset = 0; offset < 1000; offset += 1) tail.add(1, offset, offset, batchOf(1, offset, 50));
  expect(tail.read(1, 980, 1e6)?.length).toBe(20);
  expect(tail.read(1, 979, 1e6)).toBeUndefined();
});

test('what was read stays as it was when the ring goes on', () => {
  const tail = new Tail(RING_BYTES);
  tail.add(1, 0, 0, batchOf(1, 0, 300));
  const [read] = tail.read(1, 0, 300)!;
  for (let offset = 1; offset < 10; offset += 1) tail.add(1, offset, offset, batchOf(1, offset, 300));
  expect(read).toEqual(batchOf(1, 0, 300));
});

test('a batch that is larger than the ring leaves a partition to the card, others stay', () => {
  const tail = new Tail(RING_BYTES);
  tail.add(1, 0, 0, batchOf(1, 0, 10));
  tail.add(2, 0, 0, batchOf(2, 0, 10));
  tail.add(1, 1, 1, batchOf(1, 1, RING_BYTES + 1));
  expect(tail.read(1, 0, 100)).toBeUndefined();
  expect(tail.read(2, 0, 100)?.length).toBe(1);
  tail.add(1, 2, 2, batchOf(1, 2, 10));
  expect(tail.read(1, 1, 100)).toBeUndefined();
  expect(tail.read(1, 2, 100)).toEqual([batchOf(1, 2, 10)]);
});

test('a partition that is forgotten is not found, and begins anew', () => {
  const tail = new Tail(RING_BYTES);
  tail.add(1, 5, 6, batchOf(1, 5, 100));
  tail.forget(1);
  expect(tail.read(1, 5, 100)).toBeUndefined();
  tail.add(1, 9, 9, batchOf(1, 9, 100));
  // So many that the first one, which is forgotten, is overwritten and the second is not.
  for (let offset = 0; offset < 29; offset += 1) tail.add(2, offset, offset, batchOf(2, offset, 30));
  expect(tail.read(1, 9, 100)).toEqual([batchOf(1, 9, 100)]);
});
