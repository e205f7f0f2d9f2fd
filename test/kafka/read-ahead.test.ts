import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Partition } from '../../src/log/log.ts';
import { AnswerMemory } from '../../src/kafka/answer-memory.ts';
import { createBudget } from '../../src/kafka/budget.ts';
import { createReadAhead, type Place } from '../../src/kafka/read-ahead.ts';
import { fakeClock } from '../fakes/clock.ts';

const MIB = 1024 * 1024;

/** A partition whose reads end when the test says so. */
function slowPartition() {
  const reads: { offset: number; memory: Buffer; end: (batches: Buffer[]) => void; fail: () => void }[] = [];
  const read: Partition['read'] = (offset, bytesMax, allocate) => {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer[]>();
    reads.push({ offset, memory: allocate!(bytesMax), end: resolve, fail: () => reject(new Error('no card')) });
    return promise;
  };
  return { partition: { read, readStable: read } as Partition, reads };
}

function open(clock = systemClock) {
  const needs = { responseBytes: createBudget(8 * MIB), answerMemory: new AnswerMemory(), clock };
  const readAhead = createReadAhead(needs);
  onTestFinished(() => readAhead.close());
  return { readAhead, ...needs };
}

const placeOf = (partition: Partition, offset = 7): Place => {
  return { partition, offset, bytesMax: MIB, isCommittedOnly: false };
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what was read is found where it was expected, and nowhere else', async () => {
  const { readAhead } = open();
  const { partition, reads } = slowPartition();
  readAhead.begin([placeOf(partition)]);
  reads[0]!.end([Buffer.from('batch')]);
  const ahead = readAhead.take()!;
  expect(ahead.find(placeOf(partition, 8))).toBeUndefined();
  expect(ahead.find({ ...placeOf(partition), isCommittedOnly: true })).toBeUndefined();
  expect(ahead.find(placeOf(slowPartition().partition))).toBeUndefined();
  expect(String(await ahead.find(placeOf(partition)))).toBe('batch');
  expect(readAhead.take()).toBeUndefined();
  ahead.drop();
});

test('memory that is still read into is not given back', async () => {
  const { readAhead, answerMemory } = open();
  const [one, two] = [slowPartition(), slowPartition()];
  readAhead.begin([placeOf(one.partition), placeOf(two.partition)]);
  readAhead.take()!.drop();
  one.reads[0]!.end([]);
  await turn();
  expect(answerMemory.freeBytes).toBe(0);
  two.reads[0]!.fail();
  await turn();
  expect(answerMemory.freeBytes).toBe(2 * MIB);
});

test('a partition that is named twice is read once', async () => {
  const { readAhead, answerMemory } = open();
  const { partition, reads } = slowPartition();
  readAhead.begin([placeOf(partition), placeOf(partition, 9)]);
  expect(reads.map(({ offset }) => offset)).toEqual([7]);
  readAhead.take()!.drop();
  reads[0]!.end([]);
  await turn();
  expect(answerMemory.freeBytes).toBe(MIB);
});

test('it counts as an answer until it is one', async () => {
  const { readAhead, responseBytes } = open();
  const { partition, reads } = slowPartition();
  readAhead.begin([placeOf(partition)]);
  expect(responseBytes.usedBytes).toBe(MIB);
  const ahead = readAhead.take()!;
  expect(responseBytes.usedBytes).toBe(0);
  ahead.drop();
  reads[0]!.end([]);
  await turn();
  expect(responseBytes.usedBytes).toBe(0);
});

test('what nobody comes for is dropped after a while, and at the end', async () => {
  const clock = fakeClock();
  const { readAhead, responseBytes } = open(clock);
  const { partition, reads } = slowPartition();
  readAhead.begin([placeOf(partition)]);
  reads[0]!.end([Buffer.from('batch')]);
  readAhead.sweep();
  expect(responseBytes.usedBytes).toBe(MIB);
  clock.advance(4000);
  readAhead.sweep();
  await turn();
  expect(responseBytes.usedBytes).toBe(0);
});

test('closing waits for what is read, and nothing begins after it', async () => {
  const { readAhead, responseBytes } = open();
  const { partition, reads } = slowPartition();
  readAhead.begin([placeOf(partition)]);
  let isClosed = false;
  const closing = readAhead.close().then(() => (isClosed = true));
  await turn();
  expect(isClosed).toBe(false);
  reads[0]!.end([]);
  await closing;
  readAhead.begin([placeOf(partition)]);
  expect(reads).toHaveLength(1);
  expect(responseBytes.usedBytes).toBe(0);
});

test('a client that asks for other places is not read ahead for, until it was asked many times', async () => {
  const { readAhead } = open();
  const { partition, reads } = slowPartition();
  for (let answer = 0; answer < 22; answer += 1) {
    readAhead.begin([placeOf(partition)]);
    reads[answer === 21 ? 1 : 0]!.end([]);
    readAhead.take()?.drop();
    await turn();
    expect(reads).toHaveLength(answer === 21 ? 2 : 1);
  }
});

test('answers that somebody waits for come first', () => {
  const { readAhead, responseBytes } = open();
  const { partition, reads } = slowPartition();
  responseBytes.take(4 * MIB);
  readAhead.begin([placeOf(partition)]);
  expect(reads).toHaveLength(0);
  responseBytes.release(MIB);
  readAhead.begin([placeOf(partition)]);
  expect(reads).toHaveLength(1);
  reads[0]!.end([]);
});
