// The ledger beside what a disk of its own has counted: ext4 on a loop device, journal included. Over a stop, a kill -9 and
// what others write in between.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDisk, type Disk } from '../../bench/disk.ts';
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';
import type { WearStatus } from '../../src/wear/wear.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';

const MIB = 2 ** 20;

let scratch: string;
let undo: (() => void)[];
let disk: Disk;
let appliance: Appliance | undefined;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'headwater-wear-'));
  undo = [];
  const stand = {
    makeFolder: (name: string) => {
      mkdirSync(join(scratch, name), { recursive: true });
      return join(scratch, name);
    },
    defer: (fn: () => void) => void undo.push(fn),
  };
  const made = makeDisk(stand, 'card', 512);
  if (made === undefined)
    throw new Error('this test mounts a disk of its own: run it as root, where there are loop devices');
  disk = made;
});

afterEach(async () => {
  await appliance?.remove();
  appliance = undefined;
  for (const fn of undo) fn();
  rmSync(scratch, { recursive: true, force: true });
});

async function publish(node: Appliance, mib: number): Promise<void> {
  for (let sent = 0; sent < mib; sent += 1) {
    // Random, so that compression takes nothing away.
    const body = JSON.stringify({ valueBase64: randomBytes(MIB * 0.7).toString('base64') });
    const answer = await fetch(`${node.http}/topics/load/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(answer.status).toBe(200);
  }
}

async function wearOf(node: Appliance): Promise<WearStatus> {
  return (await node.status()).wear;
}

test('the ledger is what the disk has counted, over stops, crashes and the writes of others', async () => {
  appliance = await createAppliance({
    data: { dir: join(disk.folder, 'data'), budget: '256MiB' },
    topics: { load: {} },
  });
  await appliance.start();
  // From here on: what the start wrote before the room looked is not in either.
  const first = disk.writtenBytes() - (await wearOf(appliance)).total.deviceBytes!;
  const difference = async (): Promise<number> => {
    const counted = disk.writtenBytes() - first;
    return Math.abs((await wearOf(appliance!)).total.deviceBytes! - counted);
  };

  await publish(appliance, 40);
  expect(await difference()).toBeLessThan(MIB);
  const { total, recent, card } = await wearOf(appliance);
  expect(card.device).toMatch(/^loop\d+$/);
  expect(card.bytes).toBe(512 * MIB);
  const io = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pidOf(await appliance.status())}/io`, 'utf8'))?.[1];
  expect(Math.abs(total.processBytes - Number(io))).toBeLessThan(MIB);
  // Log and table of each batch, and the journal, which only the disk sees.
  expect(recent.writtenPerStoredByte).toBeGreaterThan(1);
  expect(total.deviceBytes).toBeGreaterThan(total.storedBytes);

  await appliance.terminate();
  writeFileSync(join(disk.folder, 'others'), randomBytes(20 * MIB));
  execFileSync('sync', ['--file-system', disk.folder]);
  await appliance.start();
  expect(await difference()).toBeLessThan(MIB);
  expect((await wearOf(appliance)).total.deviceBytes).toBeGreaterThan(60 * MIB);

  await publish(appliance, 10);
  await appliance.kill();
  await appliance.start();
  expect(await difference()).toBeLessThan(MIB);
});

function pidOf({ pid }: { pid: number }): number {
  return pid;
}

test('to keep the ledger costs less than a hundredth of a percent of the 256 MiB between two rows', async () => {
  const folder = join(disk.folder, 'tables-only');
  const trace = createTrace({ write: () => undefined });
  // Without its ballast, which is written meanwhile.
  const store = await openStore({ folder, clock: systemClock, trace, ballastBytes: 0 });
  const row = Buffer.alloc(700, 'x');
  const before = disk.writtenBytes();
  const rows = 50;
  for (let count = 0; count < rows; count += 1) {
    await store.tables.write([['wear/ledger', row]]);
    // Each with a journal commit of its own, as those are that come an hour after the last.
    disk.writtenBytes();
  }
  const each = (disk.writtenBytes() - before) / rows;
  console.log(`a row of the ledger costs ${Math.round(each)} bytes of the disk`);
  expect(each).toBeLessThan((256 * MIB) / 10_000);
  await store.close();
});
