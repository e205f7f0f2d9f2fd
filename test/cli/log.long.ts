// An import into a node that is killed again and again while it comes in, and repeated: each record once, in order.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { partsOf, walkPart } from '../../src/cli/log-parts.ts';
import { openDaemon } from '../../src/cli/daemon.ts';
import { systemClock } from '../../src/clock.ts';
import { decodeRecords, splitBatches } from '../../src/formats/batch.ts';
import { batchOf, numbersOf, openLogFolder, upTo } from '../log/open-log.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { until } from '../parts/until.ts';
import { run } from './run-cli.ts';

const RECORDS = 60_000;
const BATCH = 20;
const KILLS = 6;

let scratch: string;
let appliance: Appliance | undefined;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'headwater-import-'));
});

afterEach(async () => {
  await appliance?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

/** A file with as many records, whose values are their numbers. */
async function makeExport(file: string): Promise<void> {
  const source = await openLogFolder();
  const { partitions } = await source.log.createTopic('readings', { retentionMs: -1 });
  const appends = [];
  for (let first = 0; first < RECORDS; first += BATCH) {
    appends.push(partitions[0]!.append(batchOf(first, BATCH, { bytes: 400 })));
  }
  await Promise.all(appends);
  await source.log.close();
  await source.store.close();
  expect(await run(['log', 'export', file, '--data', source.folder])).toMatchObject({ code: 0 });
  rmSync(source.folder, { recursive: true });
}

/** Values in order, by the very batches that are stored. */
async function stored(url: string): Promise<number[]> {
  const signal = new AbortController().signal;
  const daemon = openDaemon(
    { url },
    { in: process.stdin, out: process.stdout, err: process.stderr, env: {}, clock: systemClock, signal },
  );
  const numbers: number[] = [];
  for (const part of await partsOf(daemon, ['readings'])) {
    for await (const stretch of walkPart(daemon, part, part.logStart, part.highWatermark)) {
      if (!stretch.isSound) throw new Error(stretch.what);
      for (const batch of splitBatches(stretch.batches)) numbers.push(...numbersOf(decodeRecords(batch)));
    }
  }
  daemon.close();
  return numbers;
}

test('an import that is cut short by kill -9, and repeated, doubles and loses nothing', async () => {
  const file = join(scratch, 'a.hwx');
  await makeExport(file);
  appliance = await createAppliance({});
  await appliance.start();
  const node = appliance;
  let had = 0;
  let cut = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const importing = run(['log', 'import', file, '--url', node.http]);
    // Somewhere in the middle: as soon as more has come in than was there.
    const goal = had + 1 + Math.floor(Math.random() * 4000);
    let isDone = false;
    void importing.then(() => (isDone = true));
    await until('more has come in', async () => isDone || (await recordsOf(node)) >= goal);
    await node.kill();
    if ((await importing).code === 3) cut += 1;
    await node.start();
    had = await recordsOf(node);
  }
  console.log(`${cut} of ${KILLS} imports were cut short`);
  expect(cut).toBeGreaterThan(0);
  const { code, out } = await run(['log', 'import', file, '--url', node.http, '-o', 'json']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ isWhole: true, records: RECORDS - had, skipped: had });
  expect(await stored(node.http)).toEqual(upTo(RECORDS));
});

async function recordsOf(node: Appliance): Promise<number> {
  const answer = await fetch(`${node.http}/topics/readings`);
  return answer.ok ? ((await answer.json()) as { records: number }).records : 0;
}
