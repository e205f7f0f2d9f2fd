// What compaction leaves on the card while keys are rewritten all the time, and what that costs the card. Everything is an
// eighth of what it is on a node: segments of 4.5 MiB in place of 36 MiB, and 12,500 keys in place of 100,000; SCALE=1 is the
// whole, which takes minutes. The hour is one of a clock that the test moves.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { openLog } from '../../src/log/log.ts';
import { openStore } from '../../src/store/store.ts';
import { bytesIn } from '../../src/store/usage.ts';
import { fakeClock } from '../fakes/clock.ts';
import { pause } from '../parts/until.ts';
import { silent } from './open-log.ts';

const SCALE = Number(process.env['SCALE'] ?? 1 / 8);
const KEYS = 100_000 * SCALE;
const VALUE_BYTES = 80;
const STEP_MS = 15_000;
const STEPS = 240;
const RECORDS_A_STEP = 7680 * SCALE;
/** Simulated time must not outrun the disk: a turn is a tenth of a second of it, and a millisecond at least. */
const TURNS = 150;
const TURNS_A_LOOK = 5;

test('keys that are rewritten at random for an hour', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-hour-'));
  const clock = fakeClock();
  const store = await openStore({ folder, clock, trace: silent, writeBufferBytes: 4 * 1024 * 1024 * SCALE });
  const log = await openLog({
    store,
    clock,
    trace: silent,
    commitIntervalMs: 0,
    commitBurstMs: 0,
    topics: new Map([['latest', { cleanup: 'compact' }]]),
    budgetBytes: 1e12,
  });
  const [partition] = log.ensureTopic('latest').partitions;
  const latest = new Map<string, number>();
  const segments = join(folder, 'segments');
  const sizes: number[] = [];
  let written = 0;

  function batch(): Buffer {
    const records = Array.from({ length: RECORDS_A_STEP }, () => {
      const key = `sensor ${Math.floor(Math.random() * KEYS)}`;
      latest.set(key, key.length + VALUE_BYTES);
      return { timestampMs: clock.wallMs(), key: Buffer.from(key), value: randomBytes(VALUE_BYTES) };
    });
    return encodeBatch(records);
  }

  for (let step = 0; step < STEPS; step += 1) {
    const next = batch();
    written += next.length;
    let isDone = false;
    const appended = partition!.append(next).finally(() => (isDone = true));
    for (let turn = 0; turn < TURNS || !isDone; turn += 1) {
      clock.advance(STEP_MS / TURNS);
      await pause(1);
      // The second half: by then it is as it will be.
      if (step > STEPS / 2 && turn % TURNS_A_LOOK === 0) sizes.push(await bytesIn(segments, () => false));
    }
    await appended;
  }

  const live = [...latest.values()].reduce((sum, bytes) => sum + bytes, 0);
  const { freedBytes, writtenBytes, segments: cleaned } = log.status().cleaned;
  const sorted = sizes.toSorted((a, b) => a - b);
  const [median, most] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
  console.log(
    `live ${live}, appended ${written}; on the card median ${(median / live).toFixed(2)}, ` +
      `most ${(most / live).toFixed(2)} of the live size; ${cleaned} segments cleaned, ` +
      `${(writtenBytes / freedBytes).toFixed(2)} bytes written for each that came free, ${(writtenBytes / written).toFixed(2)} for each appended`,
  );
  await log.close();
  await store.close();
  await rm(folder, { recursive: true });
  expect(median).toBeLessThan(2.2 * live);
  // While a part is written anew it lies there twice, and the end of it once more in LevelDB's log.
  expect(most).toBeLessThan(3 * live);
  expect(writtenBytes).toBeLessThanOrEqual(freedBytes);
});
