// What `status` says of serial ports and the devices behind them.
import { expect, test } from 'vitest';
import { serialLines } from '../../src/cli/serial-lines.ts';

const PORT = {
  name: 'hall',
  path: '/dev/ttyUSB0',
  framing: 'bridge',
  state: 'open',
  sinceSeconds: 60,
  records: 9,
  bytes: 90,
  received: 400,
  overlong: 0,
  invalid: 2,
  openings: 1,
  heardSeconds: 3,
  problems: ['not as it should be: 2'],
};

test('a row for each port, one for each device, and what is wrong', () => {
  const oven = {
    name: 'oven',
    state: 'connected',
    frames: 12,
    again: 1,
    gaps: 2,
    lost: 7,
    heardSeconds: 3,
    clockErrorMs: 6,
  };
  const meter = { name: 'meter', state: 'quarantined', frames: 0, damaged: 4, again: 9 };
  const meters = { ...PORT, name: 'yard', framing: 'modbus-rtu', devices: [meter], problems: [] };
  expect(serialLines([{ ...PORT, devices: [oven] }, meters]).join('')).toBe(`
serial
  PORT  FRAMING     HEARD   OVERLONG  INVALID  OPENINGS  DEVICE
  hall  bridge      3s ago         0        2         1  /dev/ttyUSB0
  yard  modbus-rtu  3s ago         0        2         1  /dev/ttyUSB0

  DEVICE  PORT  STATE        FRAMES  DAMAGED  AGAIN  GAPS  LOST  HEARD   CLOCK
  oven    hall  connected        12  -            1     2     7  3s ago  within 6 ms
  meter   yard  quarantined       0        4      9  -     -     never   -
  ! hall: not as it should be: 2
`);
});

test('without devices there is no second table, and without ports nothing', () => {
  expect(serialLines([PORT]).join('')).not.toContain('LOST');
  expect(serialLines([])).toEqual([]);
});
