// Power goes between any two writes of a transaction's life: what is on the card then is copied away, opened, and must be
// all of the transaction or nothing, in its partitions, its groups and its coordinator.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { encodeBatch, readBatchHeader } from '../../src/formats/batch.ts';
import { openGroups } from '../../src/groups/groups.ts';
import { openLog, type Log } from '../../src/log/log.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { openTransactions } from '../../src/transactions/transactions.ts';
import { silent } from '../log/open-log.ts';

const ALONE = { memberId: '', instanceId: null, generation: -1 };

async function openRooms(folder: string, onWrite?: () => Promise<void>) {
  const shared = { clock: systemClock, trace: silent };
  const store = await openStore({ folder, ...shared, writeBufferBytes: 64 * 1024 });
  const watched: Store = {
    ...store,
    async write(batches, marks) {
      await store.write(batches, marks);
      await onWrite?.();
    },
  };
  const settings = { commitIntervalMs: 0, commitBurstMs: 0, topics: new Map(), budgetBytes: 1e12 };
  const log = await openLog({ store: watched, ...shared, ...settings });
  const groups = openGroups({ log, ...shared });
  const offsets = { settle: groups.settle, producers: groups.stagedBy };
  const transactions = openTransactions({ log, ...shared, offsets });
  return {
    log,
    groups,
    transactions,
    async close() {
      transactions.close();
      groups.close();
      await log.close();
      await store.close();
    },
  };
}

type Rooms = Awaited<ReturnType<typeof openRooms>>;

async function committedIn(log: Log, index: number): Promise<number> {
  const partition = log.topic('t')!.partitions[index]!;
  if (partition.lastStableOffset <= partition.logStart) return 0;
  const batches = await partition.readStable(partition.logStart, 1e6);
  return batches.filter((batch) => partition.isData(readBatchHeader(batch))).length;
}

/** One transaction of two partitions and an offset; `turn` counts them. */
async function transact({ log, groups, transactions }: Rooms, turn: number, isCommit: boolean): Promise<void> {
  const { errorCode, ...producer } = await transactions.init('x', 60_000);
  expect(errorCode).toBe(0);
  const speaker = { transactionalId: 'x', ...producer };
  const { partitions } = log.topic('t')!;
  expect(transactions.addPartitions(speaker, partitions)).toBe(0);
  const record = { timestampMs: 1000, key: null, value: Buffer.from(String(turn)) };
  for (const partition of partitions) {
    await partition.append(encodeBatch([record], { ...producer, baseSequence: 0, isTransactional: true }), true);
  }
  expect(transactions.addGroup(speaker, 'g')).toBe(0);
  const offset = { topic: 't', partition: 0, offset: turn, leaderEpoch: -1, metadata: '' };
  expect(await groups.stage(producer.producerId, 'g', ALONE, [offset])).toEqual([0]);
  expect(await transactions.end(speaker, isCommit)).toBe(0);
}

test('wherever the power goes, a transaction is there wholly or not at all', async () => {
  const base = await mkdtemp(join(tmpdir(), 'headwater-transactions-'));
  onTestFinished(() => rm(base, { recursive: true }));
  const folder = join(base, 'card');
  let copies = 0;
  const rooms = await openRooms(folder, async () => {
    await cp(folder, join(base, String(copies)), { recursive: true });
    copies += 1;
  });
  await rooms.log.createTopic('t', { partitions: 2 });
  await transact(rooms, 1, true);
  await transact(rooms, 2, false);
  await rooms.close();
  const seen = new Set<string>();
  for (let copy = 0; copy < copies; copy += 1) {
    await rm(join(base, String(copy), 'owner'), { force: true });
    const found = await openRooms(join(base, String(copy)));
    const state = async () => {
      const offset = found.groups.committed('g', 't', 0)?.offset ?? 0;
      return [await committedIn(found.log, 0), await committedIn(found.log, 1), offset];
    };
    const before = await state();
    // Its producer asks again, as it does after a lost answer: from wherever it stands it gets to an end.
    const summary = found.transactions.describe('x');
    if (summary?.state === 'Ongoing')
      expect(await found.transactions.end({ ...summary, transactionalId: 'x' }, true)).toBe(0);
    const after = await state();
    await found.close();
    expect([[0, 0, 0], [1, 1, 1]]).toContainEqual(before); // prettier-ignore
    seen.add(`${before.join()} ${after.join()}`);
  }
  expect(copies).toBeGreaterThanOrEqual(8);
  expect([...seen]).toContain('0,0,0 0,0,0');
  // Cut before its end, a transaction is still there to be ended: with what it had by then.
  expect([...seen]).toContain('0,0,0 1,1,1');
  expect([...seen]).toContain('1,1,1 1,1,1');
  expect([...seen]).toContain('1,1,1 2,2,2');
});
