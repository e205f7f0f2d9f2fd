// The ledger over restarts: of the program, of the machine, of the card.
import { expect, test } from 'vitest';
import type { Device } from '../../src/wear/kernel.ts';
import {
  decodeLedger,
  EMPTY_LEDGER,
  encodeLedger,
  FIRST_LOOK,
  recentOf,
  record,
  type Ledger,
  type Look,
} from '../../src/wear/ledger.ts';

const HOUR = 3600;

function device(bytes: number, uptimeSeconds: number, bootId = 'first', identity = 'card'): Device {
  return { name: 'mmcblk0', identity, bytes: 32e9, writtenBytes: bytes, bootId, uptimeSeconds };
}

function look(seconds: number, processBytes: number, found?: Device): Look {
  const given = found === undefined ? {} : { device: found };
  return { seconds, processBytes, storedBytes: processBytes / 2, records: processBytes / 100, ...given };
}

/** The looks of one process, from its start on. */
function run(ledger: Ledger, ...looks: Look[]): Ledger {
  let last = FIRST_LOOK;
  for (const each of looks) {
    ledger = record(ledger, last, each);
    last = each;
  }
  return ledger;
}

test('the counters of each process are added up', () => {
  const first = run(EMPTY_LEDGER, look(10, 1000), look(20, 3000));
  const second = run(first, look(5, 500));
  expect(second.total).toMatchObject({ seconds: 25, processBytes: 3500, storedBytes: 1750, records: 35 });
});

test('what was on the disk before headwater came is not counted', () => {
  const { total } = run(EMPTY_LEDGER, look(0, 0, device(9e9, 500)), look(10, 0, device(9e9 + 700, 510)));
  expect(total).toMatchObject({ deviceBytes: 700, deviceSeconds: 10 });
});

test('what others write while no node runs is counted, in the same boot and in the next', () => {
  const stopped = run(EMPTY_LEDGER, look(0, 0, device(1000, 100)), look(10, 0, device(3000, 110)));
  const sameBoot = run(stopped, look(0, 0, device(8000, 400)));
  expect(sameBoot.total).toMatchObject({ deviceBytes: 7000, deviceSeconds: 300, seconds: 10 });
  const nextBoot = run(sameBoot, look(0, 0, device(600, 30, 'second')));
  expect(nextBoot.total).toMatchObject({ deviceBytes: 7600, deviceSeconds: 330 });
});

test('a disk that was unplugged in between counts from its new beginning', () => {
  const before = run(EMPTY_LEDGER, look(0, 0, device(5000, 100)));
  expect(run(before, look(0, 0, device(200, 150))).total.deviceBytes).toBe(200);
});

test('another card begins a new ledger', () => {
  const worn = run(EMPTY_LEDGER, look(0, 0, device(0, 100)), look(99, 5000, device(9000, 199)));
  const fresh = run(
    worn,
    look(1, 100, device(4000, 300, 'second', 'new card')),
    look(2, 300, device(4500, 301, 'second', 'new card')),
  );
  expect(fresh.total).toMatchObject({ seconds: 2, processBytes: 300, deviceBytes: 500 });
});

test('the kernel takes bytes back for a while, the ledger does not', () => {
  expect(run(EMPTY_LEDGER, look(1, 1000), look(2, 900), look(3, 1000)).total.processBytes).toBe(1100);
});

test('the recent pace forgets what is older than two days', () => {
  let looks = Array.from({ length: 24 }, (_, index) => look((index + 1) * HOUR, (index + 1) * 1e9));
  const busy = run(EMPTY_LEDGER, ...looks);
  expect(recentOf(busy)).toMatchObject({ seconds: 24 * HOUR, processBytes: 24e9 });
  looks = Array.from({ length: 48 }, (_, index) => look((index + 1) * HOUR, 1));
  const quiet = run(busy, ...looks);
  expect(recentOf(quiet).processBytes).toBeLessThanOrEqual(1);
  expect(quiet.total.processBytes).toBe(24e9 + 1);
});

test('a row is read as it was written, and what is none is told apart', () => {
  const ledger = run(EMPTY_LEDGER, look(0, 0, device(1000, 100)), look(10, 200, device(3000, 110)));
  expect(decodeLedger(encodeLedger(ledger))).toEqual(ledger);
  expect(encodeLedger(ledger).length).toBeLessThan(1000);
  for (const text of [
    '',
    '{}',
    '{"total":1,"window":2,"before":3}',
    JSON.stringify({ ...ledger, total: { seconds: -1 } }),
  ]) {
    expect(decodeLedger(Buffer.from(text))).toBeUndefined();
  }
});
