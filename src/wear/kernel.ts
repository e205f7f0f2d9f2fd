// What the kernel has counted of writing: for this process, and for the disk below a folder. All of it comes out of small
// text files, so that a test can be another machine.
//
//   /proc/self/io                    write_bytes, cancelled_write_bytes: pages sent to any block device, without the file
//                                    system's journal (proc(5))
//   /sys/dev/block/MAJ:MIN/stat      seventh number: sectors of 512 bytes written, by everybody, journal included
//                   .../partition    is there when this is a part of a disk, which then is the folder above
//                   .../size         of the disk, in sectors of 512 bytes
//                   .../uevent       DEVNAME=mmcblk0
//                   .../device/cid   a card's own number; others have wwid or serial
//                   .../device/life_time   an eMMC's own word: two hex numbers, tenths of its life that are used up
//   /proc/self/mountinfo             which disk a file system is on whose device number is none of a disk (btrfs)
//   /proc/sys/kernel/random/boot_id, /proc/uptime   which start of the machine the counters belong to, and since when

import { readFileSync, statSync } from 'node:fs';

/** What a file holds; undefined where it can't be read. */
export type ReadText = (path: string) => string | undefined;

export interface Device {
  /** `mmcblk0`. */
  name: string;
  /** Tells this card from another one in its place. */
  identity: string;
  /** Size of the whole disk; undefined where the kernel does not say. */
  bytes: number | undefined;
  writtenBytes: number;
  bootId: string;
  /** Seconds since the machine was started. */
  uptimeSeconds: number;
  /** Upper bound of the life that is used up, 0.1 to 1, where the device tells it. */
  lifeUsed?: number;
}

const SECTOR_BYTES = 512;

export const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not there on this kernel, or not for this user: the caller does without.
    return undefined;
  }
};

/** Bytes that this process has caused to be written to block devices; undefined where the kernel does not count. */
export function processWrittenBytes(read: ReadText): number | undefined {
  const text = read('/proc/self/io') ?? '';
  const written = numberIn(text, /^write_bytes: (\d+)$/m);
  if (written === undefined) return undefined;
  return Math.max(0, written - (numberIn(text, /^cancelled_write_bytes: (\d+)$/m) ?? 0));
}

/** The number of the disk that holds `folder`, as `MAJ:MIN`; undefined where there is none (tmpfs, overlay). */
export function deviceNumberOf(folder: string, read: ReadText): string | undefined {
  try {
    const number = numberOf(statSync(folder).dev);
    if (read(`/sys/dev/block/${number}/stat`) !== undefined) return number;
    const source = sourceOf(number, read('/proc/self/mountinfo') ?? '');
    return source === undefined ? undefined : numberOf(statSync(source).rdev);
  } catch {
    return undefined;
  }
}

/** As glibc's makedev(3) puts them together. */
function numberOf(dev: number): string {
  const wide = BigInt(dev);
  const major = ((wide >> 8n) & 0xfffn) | ((wide >> 32n) & ~0xfffn);
  const minor = (wide & 0xffn) | ((wide >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/** `36 35 0:42 / /data rw - btrfs /dev/sda2 rw`: what is behind the hyphen is the type and the source. */
function sourceOf(number: string, mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [mounted = '', behind = ''] = line.split(' - ');
    const source = behind.split(' ')[1];
    if (mounted.split(' ')[2] === number && source?.startsWith('/dev/') === true) return source;
  }
  return undefined;
}

/** The whole disk of that number: its other partitions wear the same card. Undefined where it can't be read. */
export function readDevice(number: string, read: ReadText): Device | undefined {
  const own = `/sys/dev/block/${number}`;
  // The link is followed by the kernel, so that `..` is the disk that the partition is on.
  const disk = read(`${own}/partition`) === undefined ? own : `${own}/..`;
  const sectors = (read(`${disk}/stat`) ?? '').trim().split(/\s+/)[6];
  if (sectors === undefined) return undefined;
  const name = /^DEVNAME=(.+)$/m.exec(read(`${disk}/uevent`) ?? '')?.[1] ?? number;
  const size = numberIn(read(`${disk}/size`) ?? '', /^(\d+)/);
  const lifeUsed = lifeUsedOf(read(`${disk}/device/life_time`));
  return {
    name,
    identity: identityOf(disk, read) ?? name,
    bytes: size === undefined ? undefined : size * SECTOR_BYTES,
    writtenBytes: Number(sectors) * SECTOR_BYTES,
    bootId: (read('/proc/sys/kernel/random/boot_id') ?? '').trim(),
    uptimeSeconds: Number((read('/proc/uptime') ?? '0').split(' ')[0]),
    ...(lifeUsed === undefined ? {} : { lifeUsed }),
  };
}

function identityOf(disk: string, read: ReadText): string | undefined {
  for (const file of ['device/cid', 'wwid', 'device/wwid', 'device/serial']) {
    const text = read(`${disk}/${file}`)?.trim();
    if (text !== undefined && text !== '') return text;
  }
  return undefined;
}

/** JESD84: 1 is up to a tenth, 10 up to all of it, 11 is beyond; 0 says nothing. Of two kinds of memory the older counts. */
function lifeUsedOf(text: string | undefined): number | undefined {
  const tenths = (text ?? '').trim().split(/\s+/).map(Number);
  const most = Math.max(...tenths.filter((each) => each >= 1 && each <= 11), 0);
  return most === 0 ? undefined : Math.min(1, most / 10);
}

function numberIn(text: string, pattern: RegExp): number | undefined {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
