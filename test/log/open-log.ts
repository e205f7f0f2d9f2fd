// Words for tests that need a real log on a folder of its own.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { decodeRecords, encodeBatch, readBatchHeader, type LogRecord } from '../../src/formats/batch.ts';
import { openLog, type Log, type LogNeeds, type Partition } from '../../src/log/log.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';

export const silent = createTrace({ write: () => undefined });

export interface OpenLogFolder {
  folder: string;
  log: Log;
  store: Store;
  /** Closes and opens again, with other needs if given. */
  reopen(needs?: Partial<LogNeeds>): Promise<void>;
  /** The same, with something done to the folder meanwhile. */
  reopenAfter(act: () => Promise<void>): Promise<void>;
  /** Closes and removes the folder. */
  remove(): Promise<void>;
}

export async function openLogFolder(
  needs: Partial<LogNeeds> = {},
  writeBufferBytes = 64 * 1024,
): Promise<OpenLogFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-log-'));
  const opened = { folder, reopen, reopenAfter, remove } as OpenLogFolder;

  async function open(more: Partial<LogNeeds>): Promise<void> {
    opened.store = await openStore({ folder, clock: systemClock, trace: silent, writeBufferBytes });
    opened.log = await openLog({
      store: opened.store,
      clock: systemClock,
      trace: silent,
      commitIntervalMs: 0,
      commitBurstMs: 0,
      topics: new Map(),
      budgetBytes: 1e12,
      ...needs,
      ...more,
    });
  }

  async function close(): Promise<void> {
    await opened.log.close();
    await opened.store.close();
  }

  async function reopen(more: Partial<LogNeeds> = {}): Promise<void> {
    await close();
    await open(more);
  }

  async function reopenAfter(act: () => Promise<void>): Promise<void> {
    await close();
    await act();
    await open({});
  }

  async function remove(): Promise<void> {
    await close();
    await rm(folder, { recursive: true });
  }

  await open({});
  return opened;
}

export interface BatchOf {
  producerId?: number;
  producerEpoch?: number;
  baseSequence?: number;
  timestampMs?: number;
  bytes?: number;
  /** So many keys in turn; default: none has a key. */
  keys?: number;
}

/** A batch of records whose values are `first`, `first + 1`, ... as text. */
export function batchOf(first: number, count: number, of: BatchOf = {}): Buffer {
  const { timestampMs = 1_700_000_000_000, bytes = 0, keys = 0, ...producer } = of;
  const records = Array.from({ length: count }, (_, index) => ({
    timestampMs: timestampMs + index,
    key: keys === 0 ? null : Buffer.from(`key ${(first + index) % keys}`),
    value: Buffer.from(String(first + index).padEnd(bytes)),
  }));
  return encodeBatch(records, producer);
}

export async function readAll(
  partition: Partition,
  from = partition.logStart,
  bytesMax = 100_000,
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (let next = from; next < partition.highWatermark;) {
    const first = next;
    for (const batch of await partition.read(first, bytesMax)) {
      const { baseOffset, lastOffsetDelta } = readBatchHeader(batch);
      records.push(...decodeRecords(batch).filter((each) => each.offset >= first));
      next = baseOffset + lastOffsetDelta + 1;
    }
    if (next === first) throw new Error(`nothing at offset ${first}`);
  }
  return records;
}

export function numbersOf(records: LogRecord[]): number[] {
  return records.map((each) => Number(each.value!.toString()));
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
