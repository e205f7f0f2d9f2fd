import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listTtys } from '../../src/serial/usb.ts';
import { findDevice, type Wanted } from '../../src/serial/whereabouts.ts';
import { openSysfs, type Sysfs } from '../parts/sysfs.ts';

const UNO = { vid: '2341', pid: '0043', serial: 'A1' };
const METER = { vid: '0403', pid: '6001', serial: 'M7' };
let sysfs: Sysfs;

beforeEach(async () => {
  sysfs = await openSysfs();
});
afterEach(() => sysfs.remove());

function dev(name: string): string {
  return join(sysfs.roots.dev, name);
}

function find(wanted: Wanted, known?: typeof UNO) {
  return findDevice(wanted, known, sysfs.roots);
}

test('a USB device is found wherever it is plugged in', async () => {
  const usb = { vid: '2341', pid: '0043' };
  expect(await find({ usb })).toEqual({ kind: 'missing', message: 'no USB 2341:0043 is plugged in' });
  await sysfs.plug({ tty: 'ttyUSB0', ...METER });
  expect(await find({ usb })).toMatchObject({ kind: 'missing' });
  await sysfs.plug({ tty: 'ttyACM3', ...UNO });
  expect(await find({ usb })).toMatchObject({ path: dev('ttyACM3'), usb: { ...UNO, interface: 0 } });
});

test('of several that fit none is opened, until the serial number or the interface tells which', async () => {
  await sysfs.plug({ tty: 'ttyUSB0', ...METER });
  await sysfs.plug({ tty: 'ttyUSB1', ...METER, serial: 'M8', interface: 2 });
  const { vid, pid } = METER;
  expect(await find({ usb: { vid, pid } })).toMatchObject({
    kind: 'refused',
    message: 'ttyUSB0, ttyUSB1 all fit USB 0403:6001: give its serial, its interface or a path',
  });
  expect(await find({ usb: { vid, pid, serial: 'M8' } })).toMatchObject({ path: dev('ttyUSB1') });
  expect(await find({ usb: { vid, pid, interface: 2 } })).toMatchObject({ path: dev('ttyUSB1') });
  expect(await find({ usb: { vid, pid, interface: 1 } })).toMatchObject({ kind: 'missing' });
});

test('a path that another device has taken since is not opened', async () => {
  await sysfs.plug({ tty: 'ttyUSB0', ...METER });
  const path = dev('ttyUSB0');
  expect(await find({ path }, METER)).toMatchObject({ path });
  await sysfs.unplug('ttyUSB0');
  expect(await find({ path }, METER)).toEqual({ kind: 'missing', message: 'no such device' });
  await sysfs.plug({ tty: 'ttyUSB0', ...UNO });
  expect(await find({ path }, METER)).toEqual({
    kind: 'refused',
    message: `${path} is USB 2341:0043 serial A1 interface 0, and should be USB 0403:6001 serial M7, as before`,
  });
});

test('where it is said what is wanted, another of the same kind may take its place', async () => {
  const { vid, pid } = METER;
  await sysfs.plug({ tty: 'ttyUSB0', ...METER, serial: 'M8' });
  expect(await find({ usb: { vid, pid } }, METER)).toMatchObject({ path: dev('ttyUSB0') });
});

test('with a path and a USB device the device at the path must be that one', async () => {
  await sysfs.plug({ tty: 'ttyUSB0', ...METER });
  expect(await find({ path: dev('ttyUSB0'), usb: METER })).toMatchObject({ path: dev('ttyUSB0') });
  const wrong = await find({ path: dev('ttyUSB0'), usb: UNO });
  expect(wrong).toMatchObject({
    kind: 'refused',
    message: expect.stringContaining('should be USB 2341:0043 serial A1'),
  });
  await sysfs.unplug('ttyUSB0');
  await writeFile(dev('ttyUSB0'), '');
  expect(await find({ path: dev('ttyUSB0'), usb: METER })).toMatchObject({
    message: expect.stringContaining('is no USB device'),
  });
});

test('what is plugged in is listed by name, and terminals without hardware are not', async () => {
  await sysfs.plug({ tty: 'ttyUSB10', ...METER, driver: 'ftdi_sio' });
  await sysfs.plug({ tty: 'ttyUSB2', ...UNO, product: 'Arduino Uno' });
  await sysfs.onboard('ttyS0', 4);
  await sysfs.onboard('ttyS1', 0);
  expect(await listTtys(sysfs.roots.sys)).toEqual([
    { name: 'ttyS0' },
    { name: 'ttyUSB2', driver: 'cdc_acm', usb: { ...UNO, interface: 0, product: 'Arduino Uno' } },
    { name: 'ttyUSB10', driver: 'ftdi_sio', usb: { ...METER, interface: 0 } },
  ]);
  expect(await listTtys('/nowhere')).toEqual([]);
});
