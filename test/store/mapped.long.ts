// What a start leaves in memory, as the kernel tells it: LevelDB maps the files it reads, and they count as ours.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';

const trace = createTrace({ write: () => undefined });
const BATCH_BYTES = 16 * 1024;
const WRITES = 48;
const BATCHES_PER_WRITE = 8;

async function open(folder: string): Promise<{ store: Store; seenBytes: () => number }> {
  const store = await openStore({ folder, clock: systemClock, trace, writeBufferBytes: 2 * 1024 * 1024 });
  let seenBytes = 0;
  await store.recover({
    describe: (batch) => {
      const offset = batch.readUInt32BE(0);
      return { firstOffset: offset, lastOffset: offset, maxTimestampMs: 0 };
    },
    visit: (_, batch) => void (seenBytes += batch.length),
    onGaps: () => Promise.resolve(),
    onTailLost: () => undefined,
    carry: () => [],
  });
  return { store, seenBytes: () => seenBytes };
}

/** Bytes of files below `folder` that are mapped and in memory. */
function mappedBytes(folder: string): number {
  let isBelow = false;
  let kib = 0;
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isBelow = line.includes(folder);
    else if (isBelow) kib += Number(/^Rss:\s+(\d+) kB$/.exec(line)?.[1] ?? 0);
  }
  return kib * 1024;
}

test('what was read through at the start does not stay in memory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-mapped-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { store } = await open(folder);
  for (let offset = 0; offset < WRITES * BATCHES_PER_WRITE;) {
    const batches = Array.from({ length: BATCHES_PER_WRITE }, () => {
      const value = Buffer.alloc(BATCH_BYTES, offset);
      value.writeUInt32BE(offset, 0);
      offset += 1;
      return { partition: 0, firstOffset: offset - 1, lastOffset: offset - 1, maxTimestampMs: 0, value };
    });
    await store.write(batches, []);
  }
  await store.close();

  const again = await open(folder);
  onTestFinished(() => again.store.close());
  expect(again.seenBytes()).toBe(WRITES * BATCHES_PER_WRITE * BATCH_BYTES);
  expect(mappedBytes(folder)).toBeLessThan(again.seenBytes() / 4);
  // The measure itself: what is read is mapped.
  await again.store.read(0, 0, again.seenBytes());
  expect(mappedBytes(folder)).toBeGreaterThan(again.seenBytes() / 2);
});
