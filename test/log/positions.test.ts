// When positions are on the card, over tables that can be held back.

import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Partition } from '../../src/log/log.ts';
import { loadPositions, type PositionsRoom } from '../../src/log/positions.ts';
import { fakeClock } from '../fakes/clock.ts';
import { MemoryTables } from '../fakes/memory-tables.ts';
import { silent } from './open-log.ts';

const PARTITION = {} as Partition;

function load(tables: MemoryTables): Promise<PositionsRoom> {
  return loadPositions(tables, () => 1, fakeClock(), silent);
}

test('positions are kept when a write that had begun before is on the card, too', async () => {
  const tables = new MemoryTables();
  const positions = await load(tables);
  let go: () => void;
  tables.gate = new Promise((resolve) => (go = resolve));
  const before = positions.set('mirror', PARTITION, { offset: 5 }, true);
  // The next write need not wait.
  tables.gate = undefined;
  let isKept = false;
  const keeping = positions.keep().then(() => (isKept = true));
  await setImmediate();
  expect(isKept).toBe(false);
  go!();
  await Promise.all([before, keeping]);
  expect((await load(tables)).get('mirror', PARTITION)).toEqual({ offset: 5 });
});

test('positions whose write failed are written again when all are kept', async () => {
  const tables = new MemoryTables();
  const positions = await load(tables);
  tables.gate = Promise.reject(new Error('no room'));
  await expect(positions.set('mirror', PARTITION, { offset: 5 }, true)).rejects.toThrow('no room');
  tables.gate = undefined;
  await positions.keep();
  expect((await load(tables)).get('mirror', PARTITION)).toEqual({ offset: 5 });
});
