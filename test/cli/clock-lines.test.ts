import { expect, test } from 'vitest';
import { clockLines } from '../../src/cli/clock-lines.ts';
import { STATUS } from '../http/open-http.ts';

const { clock: SYNCHRONISED } = STATUS;
const UNSURE = {
  ...SYNCHRONISED,
  state: 'unsure',
  why: 'it is before headwater was installed',
  systemMs: 5000,
} as const;

test.each([
  [SYNCHRONISED, ['  clock: synchronised for 1m, 2026-06-01T12:00:00Z: systemd-timesyncd keeps it']],
  [
    { ...UNSURE, unsureRecords: 7, boots: 3, unknownBoots: 3 },
    [
      '  clock: unsure for 1m, 1970-01-01T00:00:05Z: it is before headwater was installed',
      '  ! the wall clock is not believed: records bear 2026-06-01T12:00:00Z',
      '  7 records were stamped before the time was known, and are to be put right',
      '  2 boots ended before their time was known: their records stay unsure',
    ],
  ],
  [
    { ...SYNCHRONISED, unsureRecords: 7, jumps: 2, lastJumpSeconds: -7200 },
    [
      '  clock: synchronised for 1m, 2026-06-01T12:00:00Z: systemd-timesyncd keeps it',
      '  7 records were stamped before the time was known, and were put right',
      '  ! it has jumped 2 times, last by 2h back',
    ],
  ],
])('%#', (status, lines) => {
  expect(clockLines(status)).toEqual(lines.map((line) => `${line}\n`));
});
