// What the doctor finds in which facts. Each row changes one thing of a node where all is well.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CHECKS, examine, type Facts } from '../../src/doctor/checks.ts';
import { STATUS } from '../http/open-http.ts';

const { log: LOG, wear: WEAR, clock: CLOCK, health } = STATUS;
const MIRROR = {
  name: 'dc',
  state: 'idle',
  records: 600,
  bytes: 72_000,
  backlog: { records: 0, bytes: 0, ageSeconds: 0 },
  problems: [] as string[],
};
const PORT = {
  name: 'boiler',
  path: '/dev/ttyUSB0',
  framing: 'lines',
  state: 'open',
  sinceSeconds: 60,
  records: 5,
  bytes: 50,
  received: 55,
  overlong: 0,
  invalid: 0,
  openings: 1,
  problems: [] as string[],
};
const GOOD: Facts = {
  status: { clock: CLOCK, log: LOG, wear: WEAR, mirrors: [MIRROR], serial: [PORT], health },
  disk: { freeBytes: 20e9, totalBytes: 32e9 },
  folder: { path: '/var/lib/headwater', isWritable: true, isReadableByAll: false },
  openSecrets: [],
  openDoors: [],
  isRunning: true,
};

function withStatus(status: Partial<Facts['status']>): Facts {
  return { ...GOOD, status: { ...GOOD.status, ...status } };
}

function withLog(log: Partial<typeof LOG>): Facts {
  return withStatus({ log: { ...LOG, ...log } });
}

function withRoom(room: Partial<(typeof LOG)['room']>): Facts {
  return withLog({ room: { ...LOG.room, ...room } });
}

function withWear(wear: Partial<typeof WEAR>): Facts {
  return withStatus({ wear: { ...WEAR, ...wear } });
}

function withClock(clock: Partial<typeof CLOCK>): Facts {
  return withStatus({ clock: { ...CLOCK, ...clock } });
}

function withMirror(mirror: Partial<typeof MIRROR>): Facts {
  return withStatus({ mirrors: [{ ...MIRROR, ...mirror }] });
}

const DAY = { seconds: 86_400, processBytesPerDay: 3e9 };
const HARD = { intervalMs: 1, bytesPerDayMax: 1.5e12, yearsMin: 0.03 };

test('where all is well every check that can be made says so', () => {
  const checks = examine(GOOD);
  expect(checks.filter(({ severity }) => severity !== 'ok')).toEqual([]);
  // A few commits say nothing of a card's speed.
  expect(checks.map(({ id }) => id)).toEqual(CHECKS.map(({ id }) => id).filter((id) => id !== 'HW012'));
});

test.each<[string, string, string, Facts, string]>([
  ['HW001', 'error', 'a clock of 1970', withClock({ state: 'unsure', systemMs: 5000 }), '1970-01-01'],
  [
    'HW001',
    'error',
    'a clock that went astray',
    withClock({ state: 'kept', systemMs: 5000 }),
    'records bear 2026-06-01',
  ],
  ['HW001', 'warning', 'a clock that jumps', withClock({ jumps: 2, lastJumpSeconds: -7200 }), 'has jumped 2 times'],
  ['HW001', 'note', 'a clock that nobody keeps', withClock({ state: 'plausible' }), 'which is believed'],
  ['HW002', 'error', 'a card that refuses', withLog({ state: 'failing', reason: 'EIO' }), 'refuses writes: EIO'],
  ['HW003', 'error', 'weeks left', withWear({ recent: DAY, yearsLeft: 0.2 }), '73 days'],
  ['HW003', 'warning', 'two years left', withWear({ recent: DAY, yearsLeft: 2 }), '2.0 years'],
  ['HW003', 'warning', 'a costly setting', withWear({ commit: HARD, recent: { ...DAY, seconds: 60 } }), '1.5 TB a day'],
  ['HW003', 'error', "the card's own word", withWear({ card: { ...WEAR.card, lifeUsed: 0.9 } }), '90 % of its life'],
  ['HW003', 'warning', "the card's own word", withWear({ card: { ...WEAR.card, lifeUsed: 0.7 } }), '70 % of its life'],
  ['HW004', 'error', 'no space', { ...GOOD, disk: { freeBytes: 1e6, totalBytes: 32e9 } }, '1.0 MB of 32.0 GB'],
  [
    'HW004',
    'warning',
    'less space than the budget',
    { ...GOOD, disk: { freeBytes: 1e9, totalBytes: 32e9 } },
    'full before',
  ],
  [
    'HW005',
    'error',
    'unsent records removed',
    withLog({ droppedUnsent: { batches: 1, bytes: 5e6 } }),
    '5.0 MB were dropped',
  ],
  ['HW005', 'error', 'a budget that is reached', withLog({ state: 'full', reason: 'the budget is' }), 'are held back'],
  ['HW005', 'warning', 'a budget that is reached soon', withRoom({ fullSeconds: 7200 }), 'full in 2h'],
  [
    'HW005',
    'note',
    'records that were let go',
    withLog({ dropped: { records: 7, batches: 1, bytes: 99 } }),
    '7 of the oldest',
  ],
  [
    'HW002',
    'error',
    'a disk that others filled',
    withLog({ state: 'read-only', reason: 'the disk is full' }),
    'read-only: the disk',
  ],
  ['HW004', 'error', 'the same', withLog({ state: 'read-only', reason: 'the disk is full' }), 'takes no record'],
  ['HW014', 'note', 'a ballast that is given back', withRoom({ ballastBytes: 0 }), '0 B of 32.0 MB'],
  ['HW006', 'warning', 'an old backlog', withMirror({ backlog: { records: 9, bytes: 9, ageSeconds: 7200 } }), 'for 2h'],
  [
    'HW006',
    'error',
    'a large backlog',
    withMirror({ backlog: { records: 9, bytes: 5e9, ageSeconds: 9 } }),
    'half of the budget',
  ],
  ['HW007', 'warning', 'a link that is down', withMirror({ state: 'down', problems: ['no answer'] }), 'no answer'],
  ['HW007', 'error', 'a login refused', withMirror({ state: 'refused', problems: ['password'] }), 'password'],
  ['HW007', 'note', 'no way out', withStatus({ mirrors: [] }), 'no mirror'],
  [
    'HW008',
    'error',
    'a foreign folder',
    { ...GOOD, folder: { ...GOOD.folder, isWritable: false } },
    "can't be written",
  ],
  ['HW008', 'warning', 'an open folder', { ...GOOD, folder: { ...GOOD.folder, isReadableByAll: true } }, 'every user'],
  ['HW009', 'warning', 'an open secret', { ...GOOD, openSecrets: ['file /etc/key'] }, '/etc/key'],
  [
    'HW010',
    'warning',
    'MQTT open to the network',
    { ...GOOD, openDoors: [{ name: 'mqtt', listen: '0.0.0.0:1883', asksBy: 'mqtt.users' }] },
    '0.0.0.0:1883',
  ],
  [
    'HW011',
    'warning',
    'a port without its device',
    withStatus({ serial: [{ ...PORT, problems: ['missing for 5m'] }] }),
    'missing for 5m',
  ],
  [
    'HW013',
    'warning',
    'gaps',
    withLog({ losses: { gaps: 2, records: 30, forgotten: 0, quarantineBytes: 0 } }),
    '30 records in 2 ranges',
  ],
  [
    'HW013',
    'note',
    'a quarantine',
    withLog({ losses: { gaps: 0, records: 0, forgotten: 0, quarantineBytes: 9e6 } }),
    '9.0 MB of damaged',
  ],
  ['HW012', 'warning', 'a slow card', withLog({ commits: { ...LOG.commits, count: 1000, seconds: 300 } }), '300 ms'],
])('%s is a %s with %s', (id, severity, _what, facts, said) => {
  const found = examine(facts).find((check) => check.id === id);
  expect(found).toMatchObject({ severity, found: expect.stringContaining(said) as string });
  expect(found!.next === undefined).toBe(severity === 'note' && id === 'HW001');
});

test('what cannot be known is left out, or said to be unknown', () => {
  const { disk: _none, ...rest } = GOOD;
  const checks = examine({ ...rest, status: { ...rest.status, mirrors: [], serial: [] }, isRunning: false });
  expect(checks.map(({ id }) => id)).toEqual(['HW002', 'HW003', 'HW005', 'HW008', 'HW009', 'HW010', 'HW013']);
});

test('a folder of a node that does not run need not be written', () => {
  const checks = examine({ ...GOOD, folder: { ...GOOD.folder, isWritable: false }, isRunning: false });
  expect(checks.find(({ id }) => id === 'HW008')).toMatchObject({ severity: 'note' });
});

test('no number is given twice, and the manual has each of them', () => {
  const ids = CHECKS.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const manual = readFileSync('docs/operations.md', 'utf8');
  for (const id of [...ids, 'HW020', 'HW021']) expect(manual).toContain(`| ${id} |`);
});
