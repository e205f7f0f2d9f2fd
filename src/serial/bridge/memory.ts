// What is remembered of devices from one start to the next: a mark of the log for each, written in the same commit as the
// device's records. Devices keep their memory when they are plugged into another port of this node.
//
//   key    bridge/<uid in hex>
//   value  +---------+-------+------+--------------+-------------+--------------+----------------------------------+
//          | version | epoch | next | former epoch | former next | seen         | boots: 0 to 4 of                 |
//          | u8 = 2  | u32   | u32  | u32, 0: none | u32         | f64, wall ms | boot u8, wall ms at its clock's  |
//          +---------+-------+------+--------------+-------------+--------------+ 0 f64, error ms f32 (big-endian  |
//                                                                               | throughout)                      |
//                                                                               +----------------------------------+

import type { Commit } from '../../log/log.ts';
import type { Memory } from './session-words.ts';

/** A boot of the device: when its clock showed 0, in wall time. */
export interface BootTime {
  boot: number;
  wallAtZeroMs: number;
  errorMs: number;
}

export interface Remembered {
  memory: Memory;
  seenAtMs: number;
  boots: readonly BootTime[];
}

/** What the door needs of the log: entries as of the last commit, and their changes. */
export interface DeviceMarks {
  entries(prefix: string): Iterable<[key: string, value: Buffer]>;
  set(key: string, value: Buffer | null): Commit;
}

export interface DeviceMemory {
  /** A copy of what is known of a device by its uid in hex, and this port as its holder; `elsewhere` while another has it. */
  claim(uid: string, holder: object): Remembered | undefined | 'elsewhere' | 'full';
  /** Writes what is known without a record; `then` is called when it is on the card. */
  keep(uid: string, remembered: Remembered, then: () => void): void;
  /** The holder lets go of the device; what it tells last is what the next holder gets. */
  release(uid: string, holder: object, remembered: Remembered | undefined): void;
}

export const BOOTS_MAX = 4;
/** Devices that are remembered. At the limit one that was not seen for the longest time is forgotten. */
export const DEVICES_MAX = 1024;
const PREFIX = 'bridge/';
const VERSION = 2;
const HEAD_BYTES = 25;
const BOOT_BYTES = 13;

export function markKey(uid: string): string {
  return PREFIX + uid;
}

export function encodeMark({ memory, seenAtMs, boots }: Remembered): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + boots.length * BOOT_BYTES);
  bytes[0] = VERSION;
  bytes.writeUInt32BE(memory.epoch, 1);
  bytes.writeUInt32BE(memory.next, 5);
  bytes.writeUInt32BE(memory.former?.epoch ?? 0, 9);
  bytes.writeUInt32BE(memory.former?.next ?? 0, 13);
  bytes.writeDoubleBE(seenAtMs, 17);
  let at = HEAD_BYTES;
  for (const { boot, wallAtZeroMs, errorMs } of boots) {
    bytes[at] = boot;
    bytes.writeDoubleBE(wallAtZeroMs, at + 1);
    bytes.writeFloatBE(errorMs, at + 9);
    at += BOOT_BYTES;
  }
  return bytes;
}

/** Undefined for bytes of another version, or that are no mark. */
export function decodeMark(bytes: Buffer): Remembered | undefined {
  if (bytes[0] !== VERSION || bytes.length < HEAD_BYTES) return undefined;
  const former = { epoch: bytes.readUInt32BE(9), next: bytes.readUInt32BE(13) };
  const run = { epoch: bytes.readUInt32BE(1), next: bytes.readUInt32BE(5) };
  const memory = former.epoch === 0 ? run : { ...run, former };
  const boots: BootTime[] = [];
  for (let at = HEAD_BYTES; at + BOOT_BYTES <= bytes.length; at += BOOT_BYTES) {
    boots.push({ boot: bytes[at]!, wallAtZeroMs: bytes.readDoubleBE(at + 1), errorMs: bytes.readFloatBE(at + 9) });
  }
  return { memory, seenAtMs: bytes.readDoubleBE(17), boots };
}

/** Reads the marks once. */
export function openDeviceMemory(marks: DeviceMarks): DeviceMemory {
  const known = new Map<string, Remembered | undefined>();
  const holders = new Map<string, object>();
  for (const [key, value] of marks.entries(PREFIX)) known.set(key.slice(PREFIX.length), decodeMark(value));

  function claim(uid: string, holder: object): Remembered | undefined | 'elsewhere' | 'full' {
    const current = holders.get(uid);
    if (current !== undefined && current !== holder) return 'elsewhere';
    if (!known.has(uid) && known.size >= DEVICES_MAX && !forgetOldest()) return 'full';
    const remembered = known.get(uid);
    known.set(uid, remembered);
    holders.set(uid, holder);
    return remembered;
  }

  function forgetOldest(): boolean {
    let oldest: string | undefined;
    for (const [uid, remembered] of known) {
      if (holders.has(uid)) continue;
      if (oldest === undefined || (remembered?.seenAtMs ?? 0) < (known.get(oldest)?.seenAtMs ?? 0)) oldest = uid;
    }
    if (oldest === undefined) return false;
    known.delete(oldest);
    marks.set(markKey(oldest), null);
    return true;
  }

  function keep(uid: string, remembered: Remembered, then: () => void): void {
    const commit = marks.set(markKey(uid), encodeMark(remembered));
    // Without the log there is nobody to tell.
    commit.whenDone((error) => error === undefined && then());
  }

  function release(uid: string, holder: object, remembered: Remembered | undefined): void {
    if (holders.get(uid) !== holder) return;
    holders.delete(uid);
    known.set(uid, remembered);
  }

  return { claim, keep, release };
}
