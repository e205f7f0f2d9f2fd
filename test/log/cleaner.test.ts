// Compaction and cleaning on a real log: what is read afterwards is what a plain map of the records says.

import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { encodeBatch, type LogRecord } from '../../src/formats/batch.ts';
import type { Log, LogNeeds, Partition, TopicSettings } from '../../src/log/log.ts';
import { pause, until } from '../parts/until.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from './open-log.ts';

let opened: OpenLogFolder;
afterEach(() => opened.remove());

async function open(needs: Partial<LogNeeds> = {}): Promise<Log> {
  opened = await openLogFolder({ cleaningIntervalMs: 10, retentionIntervalMs: 20, ...needs }, 16 * 1024);
  return opened.log;
}

interface Written {
  key: string;
  value: string | null;
}

/** What was appended, by offset. */
class Ledger {
  readonly records = new Map<number, Written>();
  partition: Partition;
  #seed = 7;

  constructor(partition: Partition) {
    this.partition = partition;
  }

  random(below: number): number {
    this.#seed = (this.#seed * 48271) % 2147483647;
    return this.#seed % below;
  }

  /** `count` batches of some records each, of `keys` keys; one of `tombstones` has no value. */
  async append(count: number, keys: number, tombstones = Infinity, bytes = 150): Promise<void> {
    for (let done = 0; done < count; done += 10) {
      await Promise.all(
        upTo(10).map(async () => {
          const records = upTo(1 + this.random(4)).map(() => ({
            key: `key ${this.random(keys)}`,
            value:
              tombstones < Infinity && this.random(tombstones) === 0 ? null : randomBytes(bytes / 2).toString('hex'),
          }));
          const batch = encodeBatch(
            records.map(({ key, value }) => ({
              timestampMs: Date.now(),
              key: Buffer.from(key),
              value: value === null ? null : Buffer.from(value),
            })),
            { compression: this.random(2) === 0 ? 'none' : 'zstd' },
          );
          const { baseOffset } = await this.partition.append(batch);
          for (const [index, record] of records.entries()) this.records.set(baseOffset + index, record);
        }),
      );
    }
  }

  latest(): Map<string, string> {
    const latest = new Map<string, string>();
    for (const [, { key, value }] of [...this.records].toSorted(([a], [b]) => a - b)) {
      latest.delete(key);
      if (value !== null) latest.set(key, value);
    }
    return latest;
  }

  /** The newest records are still in memory before. */
  async reopen(needs: Partial<LogNeeds> = {}): Promise<void> {
    await opened.reopen(needs);
    this.partition = opened.log.topic('t')!.partitions[0]!;
  }

  /** Each record that is left is the one that was appended at its offset, in order, and the latest of each key is left. */
  async check(): Promise<LogRecord[]> {
    const left = await readAll(this.partition, 0, 20_000);
    const latest = new Map<string, string>();
    let before = -1;
    for (const { offset, key, value } of left) {
      expect(offset).toBeGreaterThan(before);
      before = offset;
      const written = this.records.get(offset)!;
      expect([key!.toString(), value?.toString() ?? null]).toEqual([written.key, written.value]);
      latest.delete(written.key);
      if (written.value !== null) latest.set(written.key, written.value);
    }
    expect([...latest]).toEqual([...this.latest()]);
    expect(opened.store.gaps()).toEqual([]);
    return left;
  }
}

async function ledgerOf(settings: Partial<TopicSettings> = {}): Promise<Ledger> {
  const topic = await opened.log.createTopic('t', { cleanup: 'compact', ...settings });
  return new Ledger(topic.partitions[0]!);
}

const written = (): number => opened.log.status().cleaned.writtenBytes;

/** Until so much of the bytes that were appended is left, as a share. */
async function untilCleaned(ledger: Ledger, share: number): Promise<void> {
  const appended = opened.log.status().appended.bytes;
  await until(
    'cleaned',
    () => written() > 0 && ledger.partition.bytes < share * appended,
    60_000,
    () => JSON.stringify([appended, ledger.partition.bytes, opened.log.status().cleaned]),
  );
}

test('of each key the latest record stays, in order, at its offset, and goes on so after restarts', async () => {
  await open();
  const ledger = await ledgerOf();
  await ledger.append(600, 50, 20);
  await untilCleaned(ledger, 0.5);
  const { freedBytes, writtenBytes } = opened.log.status().cleaned;
  expect(freedBytes).toBeGreaterThan(writtenBytes);
  await ledger.reopen();
  expect((await ledger.check()).length).toBeLessThan(ledger.records.size * 0.6);
  await ledger.append(600, 50, 20);
  await untilCleaned(ledger, 0.5);
  await ledger.reopen({ cleaningIntervalMs: 1e9 });
  expect((await ledger.check()).length).toBeLessThan(ledger.records.size * 0.5);
});

test('short-lived records do not hold the disk of long-lived ones beside them, nor does a deleted topic', async () => {
  const log = await open();
  const [long] = (await log.createTopic('long')).partitions as [Partition];
  const [short] = (await log.createTopic('short', { retentionBytes: 10_000 })).partitions as [Partition];
  const [gone] = (await log.createTopic('gone')).partitions as [Partition];
  const timestampMs = Date.now();
  for (let first = 0; first < 200; first += 10) {
    await Promise.all([
      ...upTo(10).map((index) => long.append(batchOf(first + index, 1, { bytes: 200, timestampMs }))),
      ...upTo(10).map(() => short.append(batchOf(0, 1, { bytes: 2000, timestampMs }))),
      ...upTo(10).map(() => gone.append(batchOf(0, 1, { bytes: 1000, timestampMs }))),
    ]);
  }
  await log.deleteTopic('gone');
  await until('cleaned', () => {
    const sealed = opened.store.sealed().reduce((sum, { bytes }) => sum + bytes, 0);
    return written() > 0 && sealed < 2.5 * (long.bytes + short.bytes);
  });
  await opened.reopen({ cleaningIntervalMs: 1e9 });
  const [again] = opened.log.topic('long')!.partitions as [Partition];
  expect(numbersOf(await readAll(again))).toEqual(upTo(200));
  expect(again.bytes).toBe(long.bytes);
  expect(opened.store.gaps()).toEqual([]);
});

test('what a mirror has not sent is compacted only when it is, whatever the pin says', async () => {
  await open();
  const ledger = await ledgerOf({ pin: 'none' });
  opened.log.positions.pin('mirror/dc', ledger.partition);
  await opened.log.positions.set('mirror/dc', ledger.partition, { offset: 0 }, true);
  await ledger.append(400, 10);
  await pause(200);
  expect(written()).toBe(0);
  await opened.log.positions.set('mirror/dc', ledger.partition, { offset: ledger.partition.highWatermark }, false);
  await ledger.append(400, 10);
  await untilCleaned(ledger, 0.7);
  await ledger.reopen();
  await ledger.check();
});
