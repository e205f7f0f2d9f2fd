// A tree like the kernel's sysfs and /dev, for serial devices that are not there: plugged in and out by the test. What is
// opened behind a device is a file, or a pseudo terminal.

import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Roots } from '../../src/serial/whereabouts.ts';

export interface PluggedDevice {
  /** `ttyUSB0`. */
  tty: string;
  vid: string;
  pid: string;
  serial?: string;
  product?: string;
  interface?: number;
  driver?: string;
  /** What the name below /dev leads to; a file of its own by default. */
  node?: string;
}

export interface Sysfs {
  readonly roots: Roots;
  plug(device: PluggedDevice): Promise<void>;
  unplug(tty: string): Promise<void>;
  /** A terminal without a USB device, as a PC has. */
  onboard(tty: string, type: number): Promise<void>;
  remove(): Promise<void>;
}

export async function openSysfs(): Promise<Sysfs> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-sysfs-'));
  const roots = { sys: join(folder, 'sys'), dev: join(folder, 'dev') };
  const numbers = new Map<string, string>();
  let plugs = 0;
  for (const name of ['sys/class/tty', 'sys/dev/char', 'sys/devices', 'dev/serial/by-id']) {
    await mkdir(join(folder, name), { recursive: true });
  }

  async function showTty(tty: string, device: string): Promise<void> {
    const shown = join(device, 'tty', tty);
    await mkdir(shown, { recursive: true });
    await symlink(device, join(shown, 'device'));
    await symlink(shown, join(roots.sys, 'class/tty', tty));
  }

  return {
    roots,
    async plug(device) {
      plugs += 1;
      const usb = join(roots.sys, 'devices/usb1', `1-${plugs}`);
      const number = (device.interface ?? 0).toString(16).padStart(2, '0');
      const face = join(usb, `1-${plugs}:1.${device.interface ?? 0}`);
      const driver = join(roots.sys, 'bus/drivers', device.driver ?? 'cdc_acm');
      await mkdir(face, { recursive: true });
      await mkdir(driver, { recursive: true });
      await symlink(driver, join(face, 'driver'));
      await writeFile(join(face, 'bInterfaceNumber'), `${number}\n`);
      const said = { idVendor: device.vid, idProduct: device.pid, serial: device.serial, product: device.product };
      for (const [name, text] of Object.entries(said)) {
        if (text !== undefined) await writeFile(join(usb, name), `${text}\n`);
      }
      await showTty(device.tty, face);
      const node = join(roots.dev, device.tty);
      if (device.node === undefined) await writeFile(node, '');
      else await symlink(device.node, node);
      const { rdev } = await stat(node);
      const char = join(roots.sys, 'dev/char', `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`);
      await rm(char, { force: true });
      await symlink(join(face, 'tty', device.tty), char);
      numbers.set(device.tty, char);
      const by = `usb-${device.product ?? 'device'}_${device.serial ?? plugs}-if${number}`;
      await rm(join(roots.dev, 'serial/by-id', by), { force: true });
      await symlink(`../../${device.tty}`, join(roots.dev, 'serial/by-id', by));
    },
    async unplug(tty) {
      await rm(join(roots.dev, tty), { force: true });
      await rm(join(roots.sys, 'class/tty', tty), { force: true });
      await rm(numbers.get(tty) ?? '', { force: true });
    },
    async onboard(tty, type) {
      await showTty(tty, join(roots.sys, 'devices/platform', `serial8250-${tty}`));
      await writeFile(join(roots.sys, 'class/tty', tty, 'type'), `${type}\n`);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
