// Two minutes of every fault, from a printed seed. `npm run torture -- --minutes 10 --seed S` is the long form.

import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { printedSeed } from '../fuzz/random.ts';
import { FAULTS } from './faults.ts';
import { openProgress } from './report.ts';
import { emptyOutcome, runTorture } from './run.ts';

test('two minutes of every fault: nothing that was acknowledged is lost, doubled or reordered', async () => {
  const seed = printedSeed('torture');
  const settings = { minutes: 2, rounds: Infinity, faults: FAULTS, seed, dir: tmpdir(), progress: openProgress() };

  const outcome = emptyOutcome();
  await runTorture(settings, outcome);
  const { tally, notRun, differences } = outcome;

  console.log(tally.table());
  expect(differences).toEqual([]);
  expect(notRun).toEqual(new Map());
  for (const fault of FAULTS) {
    expect(tally.row(fault).rounds, fault).toBeGreaterThan(0);
    expect(tally.row(fault).writtenBytes, fault).toBeGreaterThan(0);
  }
}, 400_000);
