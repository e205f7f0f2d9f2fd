// What is plugged in, as the kernel tells it in sysfs: which terminals are serial devices, and the USB device behind each.
// Nothing native: the tree is read as files.
//
//   /sys/class/tty/ttyACM0/device ──> .../1-1/1-1:1.0        bInterfaceNumber is in the interface's folder,
//   /sys/dev/char/166:0    ──> .../1-1/1-1:1.0/tty/ttyACM0   idVendor, idProduct and serial in that of the device above

import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface UsbIdentity {
  /** Four hex digits, small letters. */
  vid: string;
  pid: string;
  /** As the device tells it; cheap adapters have none, or all the same. */
  serial?: string;
  /** Number of the interface, where the device has several ports. */
  interface?: number;
  /** Maker and product as the device tells them. */
  product?: string;
}

/** What is asked of a USB device; what is left out fits any. */
export interface UsbMatch {
  vid: string;
  pid: string;
  serial?: string;
  interface?: number;
}

/** A serial device that is plugged in. */
export interface Tty {
  /** `ttyUSB0`: its name below /dev. */
  name: string;
  /** Kernel driver; undefined where there is none to tell. */
  driver?: string;
  usb?: UsbIdentity;
}

/** From a terminal's folder to that of the USB device are at most this many steps. */
const STEPS_MAX = 8;

/** The USB device behind a character device; undefined when it is none, or cannot be told. `sys` is where sysfs is. */
export async function usbOf(rdev: number, sys: string): Promise<UsbIdentity | undefined> {
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return usbAt(join(sys, 'dev/char', `${(rdev >>> 8) & 0xfff}:${minor}`, 'device'));
}

/** All serial devices, by name. Terminals without hardware behind them are left out. */
export async function listTtys(sys: string): Promise<Tty[]> {
  const folder = join(sys, 'class/tty');
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(names.filter((name) => !/^(?:tty\d*|console|ptmx)$/.test(name)).map(look));
  return found
    .filter((tty) => tty !== undefined)
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));

  async function look(name: string): Promise<Tty | undefined> {
    const device = join(folder, name, 'device');
    const at = await realpath(device).catch(() => undefined);
    // The kernel has a terminal for each serial port that a PC might have: type 0 says that there is none.
    if (at === undefined || (await textOf(join(folder, name, 'type'))) === '0') return undefined;
    const driver = await readlink(join(at, 'driver')).catch(() => undefined);
    const usb = await usbAt(device);
    return { name, ...(driver !== undefined && { driver: basename(driver) }), ...(usb !== undefined && { usb }) };
  }
}

export function fits(match: UsbMatch, usb: UsbIdentity | undefined): boolean {
  if (usb === undefined || match.vid !== usb.vid || match.pid !== usb.pid) return false;
  if (match.serial !== undefined && match.serial !== usb.serial) return false;
  return match.interface === undefined || match.interface === (usb.interface ?? 0);
}

/** `2341:0043`, with `serial X` and `interface N` where they are told. */
export function wordsOf(usb: UsbMatch): string {
  const serial = usb.serial === undefined ? '' : ` serial ${usb.serial}`;
  return `USB ${usb.vid}:${usb.pid}${serial}${usb.interface === undefined ? '' : ` interface ${usb.interface}`}`;
}

async function usbAt(device: string): Promise<UsbIdentity | undefined> {
  let folder = await realpath(device).catch(() => undefined);
  let number: string | undefined;
  for (let step = 0; folder !== undefined && step < STEPS_MAX && folder !== dirname(folder); step += 1) {
    number ??= await textOf(join(folder, 'bInterfaceNumber'));
    const vid = await textOf(join(folder, 'idVendor'));
    if (vid !== undefined) return identityIn(folder, vid, number);
    folder = dirname(folder);
  }
  return undefined;
}

async function identityIn(folder: string, vid: string, number: string | undefined): Promise<UsbIdentity> {
  const names = ['idProduct', 'serial', 'manufacturer', 'product'];
  const [pid, serial, maker, product] = await Promise.all(names.map((name) => textOf(join(folder, name))));
  const said = [maker, product].filter((text) => text !== undefined).join(' ');
  return {
    vid: vid.toLowerCase(),
    pid: (pid ?? '').toLowerCase(),
    ...(serial !== undefined && { serial }),
    // The kernel writes it in hex.
    ...(number !== undefined && { interface: Number.parseInt(number, 16) }),
    ...(said !== '' && { product: said }),
  };
}

/** One line of a file; undefined when there is none, or it is empty. */
async function textOf(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim() === '' ? undefined : text.trim();
}
