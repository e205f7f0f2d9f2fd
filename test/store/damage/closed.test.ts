// Each damage of the table on a closed store: it boots, what the damaged bytes did not hold is there, the rest is a gap.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batchOf, openLogFolder, type OpenLogFolder } from '../../log/open-log.ts';
import { append, compare, PARTITIONS } from './ledger.ts';
import { DAMAGES, type Damage } from './rows.ts';

const PER_PARTITION = 180;

let template: string;
let sealed: number[];
/** Offset of a record in the second sealed segment, and in the one that was written. */
let sealedOffset: number;
let ends: number[];
let opened: OpenLogFolder;

// Half of a segment in the end: some of it in tables, some in the write-ahead log.
beforeAll(async () => {
  opened = await openLogFolder({ topics: new Map([['t', { partitions: PARTITIONS }]]) });
  await append(opened.log, PER_PARTITION);
  await opened.store.whenSealed();
  ends = opened.log.topic('t')!.partitions.map((each) => each.highWatermark);
  sealed = opened.store.sealed().map(({ id }) => id);
  const [range] = await opened.store.rangesIn(sealed[1]!);
  sealedOffset = range!.firstOffset + 2;
  template = await mkdtemp(join(tmpdir(), 'headwater-damage-'));
  await opened.reopenAfter(() => cp(opened.folder, template, { recursive: true }));
  await opened.remove();
  opened = await openLogFolder();
});
afterAll(async () => {
  await opened.remove();
  await rm(template, { recursive: true });
});

function segmentFolder(id: number): string {
  return join(opened.folder, 'segments', id.toString(16).padStart(8, '0'));
}

async function boots(damage: Damage, of: 'sealed' | 'unsealed'): Promise<void> {
  const folder = segmentFolder(of === 'sealed' ? sealed[1]! : sealed.at(-1)! + 1);
  await opened.reopenAfter(async () => {
    await rm(opened.folder, { recursive: true });
    await cp(template, opened.folder, { recursive: true });
    await damage.make(folder, of === 'sealed' ? sealedOffset : ends[1]! - 2);
  });

  const lost = await compare(opened.store, opened.log, ends);
  expect(lost).toBeGreaterThanOrEqual(damage.lostMin);
  if (damage.lostMax !== 'all') expect(lost).toBeLessThanOrEqual(damage.lostMax);
  expect(lost).toBeLessThan(2 * PER_PARTITION);
  for (const { reason, atMs } of opened.store.gaps()) {
    expect(reason).toMatch(/^segment \d+: |^records/);
    expect(Math.abs(Date.now() - atMs)).toBeLessThan(60_000);
  }
  await goesOn();
}

/** New records get offsets of their own, and the next start finds the same. */
async function goesOn(): Promise<void> {
  const before = opened.store.gaps();
  const next = await opened.log.topic('t')!.partitions[0]!.append(batchOf(0, 1));
  expect(next.baseOffset).toBeGreaterThanOrEqual(ends[0]!);
  await opened.reopen();
  expect(opened.store.gaps()).toEqual(before);
  await compare(opened.store, opened.log, ends);
}

describe.each(DAMAGES)('$name', (damage) => {
  if (damage.of !== 'unsealed') test('in a sealed segment', () => boots(damage, 'sealed'));
  if (damage.of !== 'sealed') test('in the segment that was written', () => boots(damage, 'unsealed'));
});
