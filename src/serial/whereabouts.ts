// Where the device of a port is at present: at its path, or wherever the USB device is that was asked for. And whether it
// is the right one. Paths such as /dev/ttyUSB0 go to whoever is plugged in first, so what was behind one when it was
// first opened is remembered, and no other device is taken for it.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fits, listTtys, usbOf, wordsOf, type UsbIdentity, type UsbMatch } from './usb.ts';

/** Where the kernel shows its devices; tests have trees of their own. */
export interface Roots {
  sys: string;
  dev: string;
}

export const ROOTS: Roots = { sys: '/sys', dev: '/dev' };

/** Why a port was not opened: there is no such device, or it is there and was refused. */
export interface Refusal {
  kind: 'missing' | 'refused';
  message: string;
}

/** How a port names its device: by a path, by what it is, or both. */
export interface Wanted {
  path?: string;
  usb?: UsbMatch;
}

export interface Place {
  path: string;
  /** Changes when the path comes to name another device. */
  node: string;
  usb: UsbIdentity | undefined;
}

/** The device that is wanted. `known`: what was at its path before, if it was open. Throws what the file system throws. */
export async function findDevice(
  wanted: Wanted,
  known: UsbIdentity | undefined,
  roots: Roots,
): Promise<Place | Refusal> {
  const path = wanted.path ?? (await pathOf(wanted.usb, roots));
  if (typeof path !== 'string') return path;
  const found = await lookAt(path);
  if (found === undefined) return { kind: 'missing', message: 'no such device' };
  const usb = await usbOf(found.rdev, roots.sys);
  // Where it is said what is wanted, a spare part of the same kind is welcome.
  if (wanted.usb !== undefined && !fits(wanted.usb, usb)) return other(path, usb, wordsOf(wanted.usb));
  const isSame = wanted.usb !== undefined || known === undefined || fits(known, usb);
  if (!isSame) return other(path, usb, `${wordsOf(known)}, as before`);
  return { path, node: found.node, usb };
}

/** What a path names at present; undefined when it names nothing. */
export async function lookAt(path: string): Promise<{ node: string; rdev: number } | undefined> {
  try {
    const { dev, ino, rdev } = await stat(path);
    return { node: `${dev}:${ino}:${rdev}`, rdev };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV') return undefined;
    throw error;
  }
}

async function pathOf(usb: UsbMatch | undefined, { sys, dev }: Roots): Promise<string | Refusal> {
  if (usb === undefined) return { kind: 'missing', message: 'neither a path nor a USB device is given' };
  const ttys = (await listTtys(sys)).filter((tty) => fits(usb, tty.usb));
  const [first, second] = ttys;
  if (first === undefined) return { kind: 'missing', message: `no ${wordsOf(usb)} is plugged in` };
  if (second === undefined) return join(dev, first.name);
  const names = ttys.map(({ name }) => name).join(', ');
  return { kind: 'refused', message: `${names} all fit ${wordsOf(usb)}: give its serial, its interface or a path` };
}

function other(path: string, usb: UsbIdentity | undefined, expected: string): Refusal {
  const found = usb === undefined ? 'no USB device' : wordsOf(usb);
  return { kind: 'refused', message: `${path} is ${found}, and should be ${expected}` };
}
