// The coordinator on a log in memory: its bounds, its time, and what it finds at the start.

import { expect, test } from 'vitest';
import { KafkaError } from '../../src/formats/kafka/codes.ts';
import { createDeadlines } from '../../src/transactions/deadlines.ts';
import { openTransactions, type Speaker } from '../../src/transactions/transactions.ts';
import type { TransactionLimits, TransactionSettings } from '../../src/transactions/transactions.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { fakeLog, type FakeLog } from '../fakes/log.ts';
import { silent } from '../log/open-log.ts';

const NO_OFFSETS = { settle: () => undefined, producers: () => [] };

interface Given {
  log: FakeLog;
  clock: FakeClock;
  limits?: Partial<TransactionLimits>;
  settings?: Partial<TransactionSettings>;
}

const open = (given: Given) => openTransactions({ offsets: NO_OFFSETS, trace: silent, ...given });

async function given(more: Partial<Given> = {}) {
  const rooms = { log: fakeLog(), clock: fakeClock(), ...more };
  await rooms.log.createTopic('t', { partitions: 4 });
  const transactions = open(rooms);
  const begin = async (transactionalId: string, timeoutMs = 1000): Promise<Speaker> => {
    const { errorCode, ...producer } = await transactions.init(transactionalId, timeoutMs);
    expect(errorCode).toBe(0);
    return { transactionalId, ...producer };
  };
  return { ...rooms, transactions, begin, partitions: rooms.log.topic('t')!.partitions };
}

test('more partitions than may take part have to wait, until others have ended', async () => {
  const { transactions, begin, partitions } = await given({ limits: { participantsMax: 3 } });
  const [first, second] = [await begin('a'), await begin('b')];
  expect(transactions.addPartitions(first, partitions.slice(0, 3))).toBe(0);
  expect(transactions.addPartitions(second, partitions.slice(0, 1))).toBe(KafkaError.CONCURRENT_TRANSACTIONS);
  expect(transactions.addGroup(second, 'g')).toBe(KafkaError.CONCURRENT_TRANSACTIONS);
  expect(await transactions.end(first, false)).toBe(0);
  expect(transactions.addPartitions(second, partitions.slice(0, 1))).toBe(0);
  expect(transactions.status()).toMatchObject({ ids: 2, participants: 1, aborted: 1 });
});

test('when ids fill their bytes the one that was silent longest is forgotten, but none with something open', async () => {
  const { transactions, begin, partitions, log } = await given({ limits: { bytesMax: 1000 } });
  const kept = await begin('open');
  transactions.addPartitions(kept, partitions.slice(0, 1));
  const old = await begin('old');
  for (let index = 0; index < 6; index += 1) await begin(`later-${index}`);
  expect(transactions.describe('open')).toBeDefined();
  expect(transactions.describe('old')).toBeUndefined();
  expect(transactions.addPartitions(old, partitions)).toBe(KafkaError.INVALID_PRODUCER_ID_MAPPING);
  expect(transactions.status().bytes).toBeLessThanOrEqual(1000);
  expect([...log.marks('transaction/')]).toHaveLength(transactions.status().ids);
});

test('names of groups that are too long are refused, and those of open transactions wait once they fill their bytes', async () => {
  const { transactions, begin } = await given({ limits: { bytesMax: 2000 } });
  const speaker = await begin('a');
  expect(transactions.addGroup(speaker, 'g'.repeat(1025))).toBe(KafkaError.INVALID_GROUP_ID);
  expect(transactions.describe('a')).toMatchObject({ state: 'Empty', groups: [] });
  const added = ['g', 'h', 'i'].map((name) => transactions.addGroup(speaker, name.repeat(1024)));
  expect(added).toEqual([0, 0, KafkaError.CONCURRENT_TRANSACTIONS]);
  expect(await transactions.end(speaker, true)).toBe(0);
  expect(transactions.addGroup(speaker, 'i')).toBe(0);
});

test('an id that nobody uses is forgotten after its time, also one from before a restart', async () => {
  const rooms = await given({ settings: { idExpirationMs: 5000 } });
  await rooms.begin('a');
  const used = await rooms.begin('b');
  rooms.clock.advance(4000);
  rooms.transactions.addGroup(used, 'g');
  await rooms.transactions.end(used, true);
  rooms.clock.advance(2000);
  expect(rooms.transactions.list().map(({ transactionalId }) => transactionalId)).toEqual(['b']);
  rooms.transactions.close();
  const again = open(rooms);
  expect(again.list()).toMatchObject([{ transactionalId: 'b', state: 'CompleteCommit' }]);
  rooms.clock.advance(10_000);
  expect(again.list()).toEqual([]);
  again.close();
});

test('the time of a transaction begins anew with a restart, and is over then', async () => {
  const rooms = await given();
  const speaker = await rooms.begin('a', 1000);
  rooms.transactions.addPartitions(speaker, rooms.partitions);
  rooms.clock.advance(900);
  rooms.transactions.close();
  const again = open(rooms);
  rooms.clock.advance(900);
  expect(again.describe('a')).toMatchObject({ state: 'Ongoing', openMs: 900 });
  expect(again.checkPartition(speaker, rooms.partitions[3]!)).toBe(0);
  rooms.clock.advance(200);
  expect(again.describe('a')).toMatchObject({ state: 'CompleteAbort', producerEpoch: 1, openMs: -1 });
  expect(again.checkPartition(speaker, rooms.partitions[3]!)).toBe(KafkaError.PRODUCER_FENCED);
  expect(again.status().timedOut).toBe(1);
  again.close();
});

test('a topic that was deleted takes its part of a transaction along', async () => {
  const { transactions, begin, partitions, log } = await given();
  const speaker = await begin('a');
  transactions.addPartitions(speaker, partitions.slice(0, 2));
  await log.deleteTopic('t');
  const anew = (await log.createTopic('t')).partitions[0]!;
  expect(transactions.checkPartition(speaker, anew)).toBe(KafkaError.INVALID_TXN_STATE);
  expect(transactions.describe('a')).toMatchObject({ topics: [] });
  expect(await transactions.end(speaker, true)).toBe(0);
  expect(anew.highWatermark).toBe(0);
});

test('offsets whose transaction is not open any more are given up at the start', async () => {
  const settled: unknown[] = [];
  const offsets = { settle: (...said: unknown[]) => void settled.push(said), producers: () => [7] };
  openTransactions({ log: fakeLog(), clock: fakeClock(), trace: silent, offsets }).close();
  expect(settled).toEqual([[7, false]]);
});

/** A clock whose one timer comes due when so much time has passed, however late that is. */
function stallingClock() {
  let [nowMs, call] = [0, () => undefined as void];
  const after = (_delayMs: number, fn: () => void) => {
    call = fn;
    return { cancel: () => undefined };
  };
  function pass(ms: number): void {
    nowMs += ms;
    call();
  }
  return { ...fakeClock(), monotonicMs: () => nowMs, after, pass };
}

test('nobody is late for the time in which this process stood still', () => {
  const due: string[] = [];
  const clock = stallingClock();
  const deadlines = createDeadlines(clock, (id) => due.push(id));
  deadlines.set('a', 5000);
  // It was to look after a second, and an hour has passed.
  clock.pass(3600_000);
  expect(due).toEqual([]);
  for (let beat = 0; beat < 4; beat += 1) clock.pass(1000);
  expect(due).toEqual(['a']);
});

test('what joins a transaction after that leaves it the time that it was given back', async () => {
  const log = fakeLog();
  const clock = stallingClock();
  const transactions = openTransactions({ log, clock, trace: silent, offsets: NO_OFFSETS });
  const { errorCode: _, ...producer } = await transactions.init('a', 5000);
  const speaker = { transactionalId: 'a', ...producer };
  expect(transactions.addGroup(speaker, 'g')).toBe(0);
  clock.pass(3600_000);
  expect(transactions.addGroup(speaker, 'h')).toBe(0);
  for (let beat = 0; beat < 3; beat += 1) clock.pass(1000);
  expect(transactions.describe('a')).toMatchObject({ state: 'Ongoing', groups: ['g', 'h'] });
  clock.pass(1000);
  expect(transactions.describe('a')).toMatchObject({ state: 'CompleteAbort' });
  transactions.close();
});
