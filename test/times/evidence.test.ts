import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bootId, gatherEvidence, installedMs } from '../../src/times/evidence.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-evidence-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A machine on which `said` are the commands that answer. */
function witnesses(said: Record<string, string> = {}) {
  return {
    timesyncFile: join(folder, 'synchronized'),
    rtcFile: join(folder, 'since_epoch'),
    run: async ([program]: readonly string[]) => said[program!],
  };
}

test("timesyncd's file is enough", async () => {
  writeFileSync(join(folder, 'synchronized'), '');
  const found = await gatherEvidence(witnesses({ timedatectl: 'NTPSynchronized=no\nNTP=yes' }));
  expect(found).toMatchObject({ isSynchronised: true, by: expect.stringContaining('timesyncd') as string });
});

test.each([
  [{ timedatectl: 'NTP=yes\nNTPSynchronized=yes\n' }, true, true],
  [{ timedatectl: 'NTP=yes\nNTPSynchronized=no\n' }, false, true],
  [{ timedatectl: 'NTP=no\nNTPSynchronized=no\n' }, false, false],
  [{ chronyc: 'A29FC87B,162.159.200.123,4,1796000000.1,0.00001,0.1,0.1,1,0,0,0.1,0.1,64.5,Normal\n' }, true, true],
  [{ chronyc: '7F7F0101,,0,0.0,0,0,0,0,0,0,1,1,0.0,Not synchronised\n' }, false, true],
  // A container.
  [{}, undefined, false],
])('%j: synchronised %s, served %s', async (said, isSynchronised, isServed) => {
  expect(await gatherEvidence(witnesses(said))).toMatchObject({ isSynchronised, isServed, rtcMs: undefined });
});

test('a real-time clock tells seconds', async () => {
  writeFileSync(join(folder, 'since_epoch'), '1796000000\n');
  expect(await gatherEvidence(witnesses())).toMatchObject({ rtcMs: 1_796_000_000_000 });
});

test('a boot has a name, and the program a date', async () => {
  writeFileSync(join(folder, 'boot_id'), '5f1d-22\n');
  expect(await bootId(join(folder, 'boot_id'))).toBe('5f1d-22');
  expect(await bootId(join(folder, 'none'))).toBe('unknown');
  expect(await installedMs()).toBeGreaterThanOrEqual(Date.UTC(2026, 0, 1));
});
