// The wear ledger: what was written since headwater came to this card, over restarts of the program and of the machine.
// The kernel's counters begin anew with each of them; this adds up what lies between two looks. Pure.
//
//   the process' counter   begins with the process, and so do those of the log: a look adds what came since the last one
//   the disk's counter     begins with the machine: in the same boot a look adds the difference, which holds what was
//                          written while no node ran; in another boot it adds the whole counter
//
// A boot's last part, between the last row that was kept and a power cut, is missing. Time is counted as time that
// something ran: no wall clock is asked. What is recent are the last one to two days of it: two windows of a day each.

import type { Device } from './kernel.ts';

export interface Sums {
  /** Time that headwater ran. */
  seconds: number;
  processBytes: number;
  /** Bytes of batches, as stored, and their records. */
  storedBytes: number;
  records: number;
  /** Time that the machine was on. */
  deviceSeconds: number;
  deviceBytes: number;
}

/** One look at all counters. */
export interface Look {
  /** Since the process started, and so the four that follow. */
  seconds: number;
  processBytes: number;
  storedBytes: number;
  records: number;
  device?: Device;
}

/** The disk when it was looked at last; its name and size are for whoever reads the ledger elsewhere. */
interface SeenDevice {
  identity: string;
  name: string;
  bytes?: number;
  bootId: string;
  writtenBytes: number;
  uptimeSeconds: number;
}

export interface Ledger {
  total: Sums;
  /** The window that is being filled, and the one before. */
  window: Sums;
  before: Sums;
  device?: SeenDevice;
}

const WINDOW_SECONDS = 86_400;
const NOTHING: Sums = {
  seconds: 0,
  processBytes: 0,
  storedBytes: 0,
  records: 0,
  deviceSeconds: 0,
  deviceBytes: 0,
};

export const EMPTY_LEDGER: Ledger = { total: NOTHING, window: NOTHING, before: NOTHING };
export const FIRST_LOOK: Look = { seconds: 0, processBytes: 0, storedBytes: 0, records: 0 };

/** The ledger after a look; `last` is the look before of the same process. Another card begins a new ledger. */
export function record(ledger: Ledger, last: Look, look: Look): Ledger {
  const { device: seen } = ledger;
  const { device } = look;
  const isOther = seen !== undefined && device !== undefined && seen.identity !== device.identity;
  const from = isOther ? EMPTY_LEDGER : ledger;
  const step: Sums = {
    seconds: grown(last.seconds, look.seconds),
    processBytes: grown(last.processBytes, look.processBytes),
    storedBytes: grown(last.storedBytes, look.storedBytes),
    records: grown(last.records, look.records),
    ...deviceStep(isOther ? undefined : seen, device),
  };
  const isFull = from.window.seconds >= WINDOW_SECONDS;
  const kept = deviceSeen(device) ?? from.device;
  return {
    total: plus(from.total, step),
    window: plus(isFull ? NOTHING : from.window, step),
    before: isFull ? from.window : from.before,
    ...(kept === undefined ? {} : { device: kept }),
  };
}

export function recentOf({ window, before }: Ledger): Sums {
  return plus(window, before);
}

/** Cancelled pages can make the kernel's number smaller for a while. */
function grown(before: number, after: number): number {
  return Math.max(0, after - before);
}

function deviceStep(
  seen: SeenDevice | undefined,
  device: Device | undefined,
): Pick<Sums, 'deviceSeconds' | 'deviceBytes'> {
  // What was written before headwater came is nobody's to tell.
  if (seen === undefined || device === undefined) return { deviceSeconds: 0, deviceBytes: 0 };
  const { writtenBytes, uptimeSeconds } = device;
  if (seen.bootId !== device.bootId) return { deviceSeconds: uptimeSeconds, deviceBytes: writtenBytes };
  // A smaller number in the same boot: the disk was unplugged and plugged in again.
  const isAnew = writtenBytes < seen.writtenBytes;
  return {
    deviceSeconds: grown(seen.uptimeSeconds, uptimeSeconds),
    deviceBytes: isAnew ? writtenBytes : writtenBytes - seen.writtenBytes,
  };
}

function deviceSeen(device: Device | undefined): SeenDevice | undefined {
  if (device === undefined) return undefined;
  const { identity, name, bytes, bootId, writtenBytes, uptimeSeconds } = device;
  return { identity, name, ...(bytes !== undefined && { bytes }), bootId, writtenBytes, uptimeSeconds };
}

function plus(left: Sums, right: Sums): Sums {
  return {
    seconds: left.seconds + right.seconds,
    processBytes: left.processBytes + right.processBytes,
    storedBytes: left.storedBytes + right.storedBytes,
    records: left.records + right.records,
    deviceSeconds: left.deviceSeconds + right.deviceSeconds,
    deviceBytes: left.deviceBytes + right.deviceBytes,
  };
}

export function encodeLedger(ledger: Ledger): Buffer {
  return Buffer.from(JSON.stringify(ledger));
}

/** Undefined for what is no ledger: one that can't be read must not keep a node from starting. */
export function decodeLedger(row: Buffer): Ledger | undefined {
  try {
    const { total, window, before, device } = JSON.parse(row.toString('utf8')) as Ledger;
    const sums = [total, window, before];
    const isWhole = sums.every((each) => Object.keys(NOTHING).every((name) => isCount(each[name as keyof Sums])));
    return isWhole ? { total, window, before, ...(device === undefined ? {} : { device }) } : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
