// The kernel's counters, from files as other machines have them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deviceNumberOf, processWrittenBytes, readDevice, type ReadText } from '../../src/wear/kernel.ts';

const CARD = '179:2';

/** A Pi's second partition, as Linux 6.6 shows it. */
const PI: Record<string, string> = {
  '/proc/self/io': 'rchar: 5\nwchar: 9000\nwrite_bytes: 4096\ncancelled_write_bytes: 96\n',
  '/sys/dev/block/179:2/partition': '2\n',
  '/sys/dev/block/179:2/stat': ' 1 0 8 1 7 0 56 9 0 4 10\n',
  '/sys/dev/block/179:2/../stat': '  90 10 4096 33 20 4 2000 70 0 88 103 0 0 0 0 5 2\n',
  '/sys/dev/block/179:2/../uevent': 'MAJOR=179\nMINOR=0\nDEVNAME=mmcblk0\nDEVTYPE=disk\n',
  '/sys/dev/block/179:2/../size': '62333952\n',
  '/sys/dev/block/179:2/../device/cid': '035344534233324780c0ffee01016a00\n',
  '/proc/sys/kernel/random/boot_id': 'aaaa-bbbb\n',
  '/proc/uptime': '350.12 1200.00\n',
};

function machine(files: Record<string, string>): ReadText {
  return (path) => files[path];
}

test('the process has written its pages less those that were dropped before they were', () => {
  expect(processWrittenBytes(machine(PI))).toBe(4000);
  expect(processWrittenBytes(machine({ '/proc/self/io': 'write_bytes: 5\ncancelled_write_bytes: 9\n' }))).toBe(0);
  expect(processWrittenBytes(machine({}))).toBeUndefined();
});

test('a partition is worn with the whole card that it is on', () => {
  expect(readDevice(CARD, machine(PI))).toEqual({
    name: 'mmcblk0',
    identity: '035344534233324780c0ffee01016a00',
    bytes: 62333952 * 512,
    writtenBytes: 2000 * 512,
    bootId: 'aaaa-bbbb',
    uptimeSeconds: 350.12,
  });
});

test('a disk without partitions counts for itself, and bears its name where it has no number', () => {
  const files = { '/sys/dev/block/254:0/stat': '0 0 0 0 0 0 16 0', '/sys/dev/block/254:0/uevent': 'DEVNAME=vda\n' };
  expect(readDevice('254:0', machine(files))).toMatchObject({ name: 'vda', identity: 'vda', writtenBytes: 8192 });
  expect(readDevice('254:0', machine({}))).toBeUndefined();
});

test.each([
  ['0x03 0x02\n', 0.3],
  ['0x0b 0x01\n', 1],
  ['0x00 0x00\n', undefined],
  ['', undefined],
])("an eMMC's own word %j is %j of its life", (text, share) => {
  const files = { ...PI, '/sys/dev/block/179:2/../device/life_time': text };
  expect(readDevice(CARD, machine(files))?.lifeUsed).toBe(share);
});

test('the disk of a folder is found by its number, and through the table of mounts where that is none of a disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-disk-'));
  const asked: string[] = [];
  const number = deviceNumberOf(folder, (path) => {
    asked.push(path);
    return '';
  });
  expect(asked).toEqual([`/sys/dev/block/${number}/stat`]);
  // /dev/null is 1:3 everywhere; here it plays the disk that a btrfs lies on.
  const mounts = `36 35 ${number} / / rw,noatime shared:1 - btrfs /dev/null rw\n`;
  expect(deviceNumberOf(folder, machine({ '/proc/self/mountinfo': mounts }))).toBe('1:3');
  expect(deviceNumberOf(folder, machine({}))).toBeUndefined();
  expect(deviceNumberOf(join(folder, 'none'), machine({}))).toBeUndefined();
  rmSync(folder, { recursive: true });
});
