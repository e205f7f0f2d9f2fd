// The room: what it says of a card, and how seldom it writes its row.
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { createTrace } from '../../src/trace.ts';
import { openWear, type Wear, type WearNeeds } from '../../src/wear/wear.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { MemoryTables } from '../fakes/memory-tables.ts';

const DAY_MS = 86_400_000;
const GB = 1e9;

/** A machine with one disk, whose counters the test moves. */
class Machine {
  processBytes = 0;
  diskBytes = 0;
  uptimeSeconds = 1000;
  hasDisk = true;

  readonly read = (path: string): string | undefined => {
    if (path === '/proc/self/io') return `write_bytes: ${Math.round(this.processBytes)}\ncancelled_write_bytes: 0\n`;
    if (path === '/proc/uptime') return `${this.uptimeSeconds} 0\n`;
    if (path.endsWith('boot_id')) return 'boot\n';
    if (!this.hasDisk) return undefined;
    if (path.endsWith('/stat')) return `0 0 0 0 0 0 ${Math.round(this.diskBytes / 512)} 0`;
    if (path.endsWith('/size')) return `${64e9 / 512}\n`;
    return path.endsWith('/uevent') ? 'DEVNAME=mmcblk0\n' : undefined;
  };
}

interface Stand {
  machine: Machine;
  tables: MemoryTables;
  clock: FakeClock;
  appended: { bytes: number; records: number };
  lines: string[];
  open(more?: Partial<WearNeeds>): Promise<Wear>;
  /** Lets time go by on both clocks, in steps of a minute. */
  pass(ms: number, processBytes: number, diskBytes?: number): Promise<void>;
}

function stand(): Stand {
  const machine = new Machine();
  const tables = new MemoryTables();
  const clock = fakeClock();
  const lines: string[] = [];
  const appended = { bytes: 0, records: 0 };
  const trace = createTrace({ write: (line) => void lines.push(line) });
  const card = { profile: 'sd', cycles: 500, bytes: undefined, enduranceBytes: undefined, fallbackBytes: 32e9 };
  return {
    machine,
    tables,
    clock,
    appended,
    lines,
    open: (more = {}) =>
      openWear({
        tables,
        clock,
        trace,
        folder: tmpdir(),
        appended: () => ({ ...appended }),
        commitIntervalMs: 100,
        card,
        read: machine.read,
        ...more,
      }),
    async pass(ms, processBytes, diskBytes = processBytes) {
      const steps = ms / 60_000;
      for (let step = 0; step < steps; step++) {
        machine.processBytes += processBytes / steps;
        machine.diskBytes += diskBytes / steps;
        machine.uptimeSeconds += 60;
        clock.advance(60_000);
      }
      // Rows are written in turns of their own.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('a day of writing becomes bytes a day and years of the card', async () => {
  const { open, pass, appended } = stand();
  const wear = await open();
  await pass(DAY_MS, 3 * GB, 4 * GB);
  appended.bytes = GB;
  appended.records = 5e6;
  const { card, total, recent, yearsLeft } = wear.status();
  expect(card).toEqual({ profile: 'sd', bytes: 64e9, enduranceBytes: 32e12, device: 'mmcblk0' });
  expect(total).toMatchObject({ processBytes: 3 * GB, deviceBytes: 4 * GB, storedBytes: GB, records: 5e6 });
  expect(recent.processBytesPerDay).toBeCloseTo(3 * GB, -3);
  expect(recent.deviceBytesPerDay).toBeCloseTo(4 * GB, -3);
  expect(recent.writtenPerStoredByte).toBeCloseTo(3);
  expect(yearsLeft).toBeCloseTo((32e12 - 4e9) / 4e9 / 365.25, 1);
  await wear.close();
});

test('what the commit setting may cost is told before anything is written', async () => {
  const { open } = stand();
  const wear = await open({ commitIntervalMs: 1000 });
  const { commit, yearsLeft } = wear.status();
  expect(commit).toMatchObject({ intervalMs: 1000, bytesPerDayMax: 86_400 * 17_000 });
  expect(commit.yearsMin).toBeCloseTo(32e12 / (86_400 * 17_000) / 365.25);
  expect(yearsLeft).toBeUndefined();
  await wear.close();
});

test('without a disk that can be looked at the process alone counts', async () => {
  const { open, pass, machine } = stand();
  machine.hasDisk = false;
  const wear = await open();
  await pass(DAY_MS, GB);
  const { card, total, recent, yearsLeft } = wear.status();
  expect(card).toEqual({ profile: 'sd', bytes: 32e9, enduranceBytes: 16e12 });
  expect(total.deviceBytes).toBeUndefined();
  expect(recent.deviceBytesPerDay).toBeUndefined();
  expect(yearsLeft).toBeCloseTo((16e12 - GB) / GB / 365.25, 1);
  await wear.close();
});

test('metrics have a pace and a life when they mean something', async () => {
  const { open, pass } = stand();
  const wear = await open();
  await pass(300_000, GB);
  const samplesOf = (name: string): unknown => wear.metrics().find((each) => each.name === name)?.samples;
  expect([samplesOf('wear_written_bytes_per_day'), samplesOf('wear_card_years_left')]).toEqual([[], []]);
  expect(wear.status().yearsLeft).toBeUndefined();
  await pass(DAY_MS, GB);
  expect(samplesOf('wear_written_bytes_per_day')).toHaveLength(2);
  expect(samplesOf('wear_card_years_left')).toEqual([{ value: wear.status().yearsLeft }]);
  expect(samplesOf('wear_written_bytes_total')).toEqual([
    { labels: { by: 'headwater' }, value: 2 * GB },
    { labels: { by: 'everybody' }, value: expect.closeTo(2 * GB, -4) as number },
  ]);
  await wear.close();
});

test('the ledger goes on after a restart', async () => {
  const { open, pass, machine } = stand();
  const first = await open();
  await pass(DAY_MS / 2, GB);
  await first.close();
  machine.processBytes = 0;
  const second = await open();
  await pass(DAY_MS / 2, GB);
  expect(second.status().total).toMatchObject({ processBytes: 2 * GB, deviceBytes: 2 * GB });
  expect(second.status().total.seconds).toBeCloseTo(86_400);
  await second.close();
});

test('the row is written once in 256 MiB, and on a quiet day once an hour', async () => {
  const { open, pass, tables } = stand();
  const wear = await open();
  await pass(DAY_MS, 25 * GB);
  // Each time at the first look beyond.
  expect(tables.writes).toBeGreaterThan(80);
  expect(tables.writes).toBeLessThanOrEqual(Math.ceil((25 * GB) / (256 * 2 ** 20)));
  const busy = tables.writes;
  await pass(DAY_MS, 1_000_000);
  expect(tables.writes - busy).toBeLessThanOrEqual(24);
  const quiet = tables.writes;
  await pass(DAY_MS, 0);
  expect(tables.writes - quiet).toBeLessThanOrEqual(1);
  await wear.close();
});

test('a card that is looked at in another machine keeps its ledger, and tells it', async () => {
  const { open, pass, tables, machine } = stand();
  const first = await open();
  await pass(DAY_MS, GB, 2 * GB);
  await first.close();
  const row = tables.rows.get('wear/ledger');
  const known = first.status();
  machine.diskBytes = 5e12;
  machine.uptimeSeconds = 5;
  const second = await open({
    isRunning: false,
    read: (path) => (path.endsWith('/uevent') ? 'DEVNAME=sda' : machine.read(path)),
  });
  expect(second.status()).toEqual(known);
  await pass(DAY_MS, GB);
  await second.close();
  expect(tables.rows.get('wear/ledger')).toEqual(row);
});

test('a row that cannot be read begins anew and is told', async () => {
  const { open, tables, lines } = stand();
  tables.rows.set('wear/ledger', Buffer.from('{'));
  const wear = await open();
  expect(wear.status().total.processBytes).toBe(0);
  expect(lines.join()).toContain('begins anew');
  await wear.close();
});

test('a card that refuses the row is told, and stops nothing', async () => {
  const { open, pass, tables, lines } = stand();
  const wear = await open();
  await pass(60_000, GB);
  tables.gate = Promise.reject(new Error('the disk is full'));
  await wear.close();
  expect(lines.join()).toContain('the disk is full');
});
