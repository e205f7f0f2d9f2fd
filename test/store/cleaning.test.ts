// Cleaning: what is still needed of some sealed segments lies in one new one, whenever the power goes.

import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { numberOf } from '../../src/log/partition.ts';
import { plainSieve } from '../../src/log/sieve.ts';
import {
  after,
  asItIs,
  before,
  clean,
  cleaned,
  COUNT,
  CRASHES,
  ids,
  isWhole,
  newOne,
  newTables,
  opened,
  segment,
  setAside,
  startFrom,
  whole,
} from './cleaned-folder.ts';
import { batchOf, numbersOf, readAll, upTo } from '../log/open-log.ts';

test('what is not needed any more gives its space back, and all else is read as before', async () => {
  expect(cleaned.before.length).toBe(6);
  expect(cleaned.after.length).toBe(1);
  expect(cleaned.writtenBytes).toBe(cleaned.after[0]!.bytes);
  expect(cleaned.freedBytes).toBeGreaterThan(cleaned.writtenBytes * 0.8);
  await startFrom(after);
  expect(opened.store.sealed().map(({ id }) => id)).toContain(ids[2]);
  expect(opened.store.sealed().map(({ id }) => id)).not.toContain(ids[1]);
  await isWhole();
  await opened.log.topic('kept')!.partitions[0]!.append(batchOf(COUNT + 1, 1));
});

describe('a crash', () => {
  test.each(CRASHES)('%s', async (_name, crash) => {
    await startFrom(before, crash);
    await isWhole();
  });
});

test.each([0, 1, 2, 3])(
  'a new segment that is damaged before it has its place is thrown away, and the old ones are read through, %d of which were set aside',
  async (count) => {
    await startFrom(before, async () => {
      await newOne(whole());
      await newTables();
      await setAside(count);
      for (const name of await readdir(whole()))
        if (name.endsWith('.ldb')) await writeFile(join(whole(), name), 'damage');
    });
    await isWhole();
  },
);

test('readers go on while their segments are cleaned, and see no change', async () => {
  await startFrom(before);
  const [partition] = opened.log.topic('kept')!.partitions;
  let isDone = false;
  const reading = (async () => {
    let rounds = 0;
    for (; !isDone || rounds < 3; rounds += 1)
      expect(numbersOf(await readAll(partition!, 0, 20_000))).toHaveLength(COUNT + 1);
    return rounds;
  })();
  expect(await clean(ids)).toBeDefined();
  isDone = true;
  await reading;
  await isWhole();
});

test('segments that are removed or mended meanwhile are left as they are', async () => {
  await startFrom(before);
  const { store } = opened;
  let isTouched = false;
  const sieve = asItIs();
  const outcome = await clean(ids, {
    ...sieve,
    take(batch) {
      if (!isTouched) void store.tables.write([]);
      isTouched = true;
      return sieve.take(batch);
    },
    end() {
      void store.remove(ids[1]!);
      return [];
    },
  });
  expect([outcome, isTouched]).toEqual([undefined, true]);
});

async function damage(): Promise<void> {
  const names = await readdir(segment(ids[1]!));
  const table = names.find((name) => name.endsWith('.ldb'))!;
  const file = await open(join(segment(ids[1]!), table), 'r+');
  await file.write(Buffer.alloc(10, 0xff), 0, 10, 2000);
  await file.close();
}

test('damage that cleaning finds is mended, and told as what it is', async () => {
  await startFrom(before, damage);
  expect(await clean(ids)).toBeUndefined();
  const [partition] = opened.log.topic('kept')!.partitions;
  const lost = opened.store.gaps().filter((gap) => gap.partition === numberOf(partition!));
  expect(lost).toHaveLength(1);
  expect(await clean(ids)).toBeDefined();
  const missing = lost[0]!.lastOffset - lost[0]!.firstOffset + 1;
  expect(numbersOf(await readAll(partition!))).toHaveLength(COUNT + 1 - missing);
  expect(opened.store.gaps().filter((gap) => gap.partition === numberOf(partition!))).toEqual(lost);
});

test('what was lost below the start of a partition is in no gap any more, and does not keep it from being cleaned', async () => {
  await startFrom(before, damage);
  expect(await clean(ids)).toBeUndefined();
  const [partition] = opened.log.topic('kept')!.partitions;
  const start = opened.store.gaps().find((gap) => gap.partition === numberOf(partition!))!.lastOffset + 2;
  await opened.store.pruneGaps((number) => (number === numberOf(partition!) ? start : undefined));
  expect(await clean(ids, plainSieve(start))).toBeDefined();
  expect(numbersOf(await readAll(partition!, start))).toEqual(upTo(COUNT + 1).slice(start));
});
