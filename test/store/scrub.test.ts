// The slow reader of what lies still: it finds damage that nobody reads, and leaves the rest alone.

import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openScrub } from '../../src/store/scrub.ts';
import { fakeClock } from '../fakes/clock.ts';
import { until } from '../parts/until.ts';
import { openLogFolder, silent } from '../log/open-log.ts';
import { append } from './damage/ledger.ts';

const MINUTE_MS = 60_000;

test('a byte that turned over where nobody reads is found, at the rate that is given', async () => {
  const opened = await openLogFolder({ topics: new Map([['t', { partitions: 2 }]]) });
  onTestFinished(() => opened.remove());
  await append(opened.log, 180);
  await opened.store.whenSealed();
  const sealed = opened.store.sealed();
  const folder = join(opened.folder, 'segments');
  const damaged = join(folder, '00000002');
  const table = (await readdir(damaged)).find((name) => name.endsWith('.ldb'))!;
  const file = await open(join(damaged, table), 'r+');
  await file.write(Buffer.of(0xff), 0, 1, 5000);
  await file.close();

  const mended: [number, string][] = [];
  const startMs = performance.now();
  const scrub = openScrub({
    sealed: () => opened.store.sealed(),
    folderOf: (id) => join(folder, id.toString(16).padStart(8, '0')),
    mend: async (id, fault) => mended.push([id, fault]),
    clock: systemClock,
    trace: silent,
    bytesPerSecond: 2_000_000,
    firstMs: 1,
  });
  await until('all segments to be looked at', () => scrub.status().segments === sealed.length);
  await scrub.close();
  const { bytes, damaged: count } = scrub.status();
  expect(count).toBe(1);
  expect(mended).toEqual([[2, expect.stringMatching(/^\d{6}\.ldb: wrong checksum of the block at \d+$/) as string]]);
  // The last quarter of a second may be owed.
  expect(performance.now() - startMs).toBeGreaterThan((bytes / 2_000_000) * 1000 - 260);
});

test('the first pass begins ten minutes after the start, the next one a week after that', async () => {
  const opened = await openLogFolder({ topics: new Map([['t', { partitions: 2 }]]) });
  onTestFinished(() => opened.remove());
  await append(opened.log, 180);
  await opened.store.whenSealed();
  const segments = opened.store.sealed().length;
  const clock = fakeClock();
  const scrub = openScrub({
    sealed: () => opened.store.sealed(),
    folderOf: (id) => join(opened.folder, 'segments', id.toString(16).padStart(8, '0')),
    mend: () => Promise.resolve(),
    clock,
    trace: silent,
    bytesPerSecond: Infinity,
  });
  onTestFinished(() => scrub.close());
  // It waits for the clock only when there is nothing to look at.
  const passes = async (count: number): Promise<void> => {
    await until(`pass ${count}`, () => clock.timers() === 1);
    expect(scrub.status().segments).toBe(count * segments);
  };

  clock.advance(10 * MINUTE_MS - 1);
  await passes(0);
  clock.advance(1);
  await passes(1);
  clock.advance(7 * 24 * 60 * MINUTE_MS - 1);
  await passes(1);
  clock.advance(MINUTE_MS);
  await passes(2);
});
