import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listPlugged } from '../../src/serial/plugged.ts';
import { openSysfs, type Sysfs } from '../parts/sysfs.ts';

const UNO = { vid: '2341', pid: '0043', serial: 'A1', product: 'Uno' };
let sysfs: Sysfs;

beforeEach(async () => {
  sysfs = await openSysfs();
});
afterEach(() => sysfs.remove());

function list() {
  const { sys, dev } = sysfs.roots;
  return listPlugged({ sys, dev, proc: join(sys, 'proc') });
}

async function configs(): Promise<unknown[]> {
  return (await list()).map(({ config }) => config);
}

test('a device is best named by the name that udev gave it', async () => {
  await sysfs.plug({ tty: 'ttyACM0', ...UNO });
  const byId = join(sysfs.roots.dev, 'serial/by-id/usb-Uno_A1-if00');
  const path = join(sysfs.roots.dev, 'ttyACM0');
  expect(await list()).toMatchObject([{ name: 'ttyACM0', path, byId, users: [], config: { path: byId } }]);
});

test('without udev by what it is, as far as that tells it from the others', async () => {
  const cheap = { vid: '1a86', pid: '7523' };
  await sysfs.plug({ tty: 'ttyACM0', ...UNO });
  await sysfs.plug({ tty: 'ttyUSB0', ...cheap });
  await sysfs.onboard('ttyS0', 4);
  await rm(join(sysfs.roots.dev, 'serial'), { recursive: true });
  await mkdir(join(sysfs.roots.dev, 'serial/by-id'), { recursive: true });
  const { vid, pid, serial } = UNO;
  const path = (name: string) => ({ path: join(sysfs.roots.dev, name) });
  expect(await configs()).toEqual([{ usb: { vid, pid, serial } }, path('ttyS0'), { usb: cheap }]);
  await sysfs.plug({ tty: 'ttyUSB1', ...cheap });
  await rm(join(sysfs.roots.dev, 'serial'), { recursive: true });
  expect((await configs()).slice(2)).toEqual([path('ttyUSB0'), path('ttyUSB1')]);
});

test('a device with several ports is told by their interfaces', async () => {
  for (const face of [0, 2]) await sysfs.plug({ tty: `ttyACM${face}`, ...UNO, interface: face });
  await rm(join(sysfs.roots.dev, 'serial'), { recursive: true });
  const { vid, pid, serial } = UNO;
  expect(await configs()).toEqual([
    { usb: { vid, pid, serial, interface: 0 } },
    { usb: { vid, pid, serial, interface: 2 } },
  ]);
});

test('processes that have it open are told', async () => {
  await sysfs.plug({ tty: 'ttyACM0', ...UNO });
  const process = join(sysfs.roots.sys, 'proc/77');
  await mkdir(join(process, 'fd'), { recursive: true });
  await writeFile(join(process, 'comm'), 'screen\n');
  for (const fd of ['3', '4']) await symlink(join(sysfs.roots.dev, 'ttyACM0'), join(process, 'fd', fd));
  await symlink('socket:[1]', join(process, 'fd/5'));
  expect((await list())[0]?.users).toEqual([{ pid: 77, command: 'screen' }]);
});
