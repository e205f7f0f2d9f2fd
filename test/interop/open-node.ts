// What a Kafka client meets: the door on a real log on a real store, in a folder that goes with the test.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { openGroups, type Groups, type GroupSettings } from '../../src/groups/groups.ts';
import { openKafka, type Kafka } from '../../src/kafka/kafka.ts';
import { openLog, type Log } from '../../src/log/log.ts';
import { openStore } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';
import { openTransactions, type Transactions } from '../../src/transactions/transactions.ts';

export interface Node {
  bootstrap: string;
  port: number;
  log: Log;
  groups: Groups;
  transactions: Transactions;
  kafka: Kafka;
  /** What was printed at info and above. */
  lines: string[];
  close(): Promise<void>;
}

/** `advertisePort`: what clients are told to connect to, where something stands in front of the door. */
export async function openNode(
  options: { advertisePort?: number; groupSettings?: Partial<GroupSettings>; cleaningIntervalMs?: number } = {},
): Promise<Node> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-interop-'));
  const lines: string[] = [];
  const trace = createTrace({ write: (line) => lines.push(line), isJournal: false });
  const store = await openStore({ folder, clock: systemClock, trace, writeBufferBytes: 256 * 1024 });
  const log = await openLog({
    store,
    clock: systemClock,
    trace,
    commitIntervalMs: 5,
    commitBurstMs: 1000,
    topics: new Map(),
    budgetBytes: 1e9,
    ...(options.cleaningIntervalMs !== undefined && { cleaningIntervalMs: options.cleaningIntervalMs }),
  });
  const settings = { initialRebalanceDelayMs: 100, ...options.groupSettings };
  const groups = openGroups({ log, clock: systemClock, trace, settings });
  const offsets = { settle: groups.settle, producers: groups.stagedBy };
  const transactions = openTransactions({ log, offsets, clock: systemClock, trace });
  const listen = { host: '127.0.0.1', port: 0 };
  const advertise = { host: '127.0.0.1', port: options.advertisePort ?? 0 };
  const kafka = await openKafka({
    listen,
    ...(advertise.port > 0 && { advertise }),
    log,
    groups,
    transactions,
    clock: systemClock,
    trace,
  });
  return {
    bootstrap: `127.0.0.1:${kafka.port}`,
    port: kafka.port,
    log,
    groups,
    transactions,
    kafka,
    lines,
    async close() {
      await kafka.close();
      transactions.close();
      groups.close();
      await log.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Readings that compress as real ones do. */
export function readings(count: number, prefix = 'sensor'): { key: string; value: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `${prefix}-${index % 5}`,
    value: JSON.stringify({ sensor: `${prefix}-${index % 5}`, sequence: index, celsius: 20 + (index % 70) / 10 }),
  }));
}
