// What `status` says of the card.
import { expect, test } from 'vitest';
import { wearLines } from '../../src/cli/wear-lines.ts';

const COMMIT = { intervalMs: 100, bytesPerDayMax: 14_688_000_000, yearsMin: 2.98 };
const CARD = { profile: 'sd', bytes: 32e9, enduranceBytes: 16e12 };
const TOTAL = { seconds: 90_000, processBytes: 3e9, storedBytes: 1e9, records: 600 };

test('one line for what the setting may cost, one for what was measured', () => {
  const recent = { seconds: 90_000, processBytesPerDay: 3e9, deviceBytesPerDay: 4e9, writtenPerStoredByte: 3 };
  const card = { ...CARD, device: 'mmcblk0' };
  expect(wearLines({ commit: COMMIT, card, total: TOTAL, recent, yearsLeft: 10.94 })).toEqual([
    '  commits: one each 100ms, at most 14.7 GB a day, 3.0 years of 16.0 TB in the life of the card (sd, 32.0 GB)\n',
    '  written: 3.0 GB a day by headwater, 3.0 for each byte stored, 4.0 GB a day by everybody on mmcblk0; 10.9 years left, measured over 1d 1h\n',
  ]);
});

test('what cannot be told is left out, and the word of the card itself is not', () => {
  const card = { ...CARD, lifeUsed: 0.3 };
  const lines = wearLines({ commit: COMMIT, card, total: TOTAL, recent: { seconds: 60, processBytesPerDay: 0 } });
  expect(lines.slice(1)).toEqual([
    '  written: 3.0 GB by headwater; too early to tell how long it lasts, measured over 1m\n',
    '  the card itself says: 30 % used at most\n',
  ]);
});
