import { expect, test } from 'vitest';
import { decodeRecords, splitBatches } from '../../src/formats/batch.ts';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { KafkaError } from '../../src/formats/kafka/codes.ts';
import { batchOf, fetchAll, fetchOf, openDoor, type FetchOutcome } from './open-door.ts';

function valuesOf(outcome: FetchOutcome | undefined): string[] {
  return splitBatches(outcome?.records ?? Buffer.alloc(0)).flatMap((batch) =>
    decodeRecords(batch).map(({ value }) => String(value)),
  );
}

test('batches are given as they are stored, from the one that holds the offset, in every version', async () => {
  const { log, kafka, connect } = await openDoor();
  const { id: topicId } = await log.createTopic('readings');
  const partition = log.partition('readings');
  for (const values of [['a', 'b'], ['c'], ['d', 'e']]) await partition.append(batchOf(values));
  const client = await connect();
  for (let version = 4; version <= 17; version++) {
    const name = version <= 12 ? 'readings' : '';
    const [outcome] = await fetchAll(client, name, [1], { version, topicId });
    expect(outcome).toMatchObject({ errorCode: 0, highWatermark: 5, lastStableOffset: 5 });
    expect(valuesOf(outcome)).toEqual(['a', 'b', 'c', 'd', 'e']);
  }
  expect(kafka.status().fetched).toEqual({ records: 14 * 5, bytes: 14 * partition.bytes });
});

test('the first batch is given whatever the limits, the rest keeps to them', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 3 });
  for (const index of [0, 1, 2]) {
    for (const letter of ['a', 'b', 'c']) {
      await log.partition('readings', index).append(batchOf([letter.repeat(1000)]));
    }
  }
  const client = await connect();
  const tiny = await fetchAll(client, 'readings', [0, 0, 0], { partitionMaxBytes: 10 });
  expect(tiny.map((each) => valuesOf(each).length)).toEqual([1, 0, 0]);
  const perPartition = await fetchAll(client, 'readings', [0, 0, 0], { partitionMaxBytes: 2500 });
  expect(perPartition.map((each) => valuesOf(each).length)).toEqual([2, 2, 2]);
  const total = await fetchAll(client, 'readings', [0, 0, 0], { maxBytes: 4500 });
  expect(total.map((each) => valuesOf(each).length)).toEqual([3, 1, 0]);
});

test('an offset outside the log is told with the place where it begins', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 2 });
  for (const index of [0, 1]) await log.partition('readings', index).append(batchOf(['a', 'b', 'c']));
  await log.partition('readings', 0).deleteRecords(2);
  const client = await connect();
  const outcomes = await fetchAll(client, 'readings', [1, 4], { maxWaitMs: 60_000 });
  expect(outcomes).toMatchObject([
    { errorCode: KafkaError.OFFSET_OUT_OF_RANGE, logStartOffset: 2, highWatermark: 3 },
    { errorCode: KafkaError.OFFSET_OUT_OF_RANGE, logStartOffset: 0, highWatermark: 3 },
  ]);
});

test('an unknown partition answers at once, beside those that are known', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  await log.partition('readings').append(batchOf(['a']));
  const client = await connect();
  const [known, unknown] = await fetchAll(client, 'readings', [0, 0], { maxWaitMs: 60_000, minBytes: 1 << 20 });
  expect(valuesOf(known)).toEqual(['a']);
  expect(unknown).toMatchObject({ partitionIndex: 1, errorCode: 3, records: Buffer.alloc(0) });
});

test('a topic that was made anew is another one to who asks by id, and answers at once', async () => {
  const { log, connect } = await openDoor();
  const { id } = await log.createTopic('readings');
  await log.deleteTopic('readings');
  await log.createTopic('readings');
  const client = await connect();
  for (const topicId of [id, undefined]) {
    const [outcome] = await fetchAll(client, 'readings', [0], { version: 13, topicId, maxWaitMs: 60_000 });
    expect(outcome).toMatchObject({ errorCode: KafkaError.UNKNOWN_TOPIC_ID, highWatermark: -1 });
  }
});

test('a fetch at the end waits, and is woken by an append', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 2 });
  const client = await connect();
  const answer = client.send(fetch, 12, fetchOf('readings', [0, 0], { maxWaitMs: 60_000 }));
  await untilListening(() => log.partition('readings', 1).listeners.size);
  await log.partition('readings', 1).append(batchOf(['woken']));
  const outcomes = (await answer()).responses[0]!.partitions;
  expect(outcomes.map(valuesOf)).toEqual([[], ['woken']]);
  expect(log.partition('readings', 0).listeners.size + log.partition('readings', 1).listeners.size).toBe(0);
});

test('it waits until there are min_bytes', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const partition = log.partition('readings');
  await partition.append(batchOf(['a'.repeat(500)]));
  const client = await connect();
  let isAnswered = false;
  const answer = client.send(fetch, 12, fetchOf('readings', [0], { maxWaitMs: 60_000, minBytes: 1500 }))();
  void answer.then(() => (isAnswered = true));
  await untilListening(() => partition.listeners.size);
  await partition.append(batchOf(['b'.repeat(500)]));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isAnswered).toBe(false);
  await partition.append(batchOf(['c'.repeat(500)]));
  expect(valuesOf((await answer).responses[0]!.partitions[0])).toHaveLength(3);
});

test('it is answered with nothing when max_wait is over', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const [outcome] = await fetchAll(client, 'readings', [0], { maxWaitMs: 30 });
  expect(outcome).toMatchObject({ errorCode: 0, records: Buffer.alloc(0) });
});

test('a client that goes away while it waits leaves nothing behind', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  client.send(fetch, 12, fetchOf('readings', [0], { maxWaitMs: 60_000 }));
  await untilListening(() => log.partition('readings').listeners.size);
  client.end();
  await untilListening(() => (log.partition('readings').listeners.size === 0 ? 1 : 0));
  await untilListening(() => (kafka.status().connections === 0 ? 1 : 0));
  expect(kafka.status().inFlight).toEqual({ requestBytes: 0, responseBytes: 0 });
});

test('sessions are never made: a full fetch has session 0, any other is told that there is none', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const full = await client.ask(fetch, 11, { ...fetchOf('readings', [0]), sessionEpoch: 0 });
  expect(full).toMatchObject({ errorCode: 0, sessionId: 0 });
  expect(full.responses).toHaveLength(1);
  const next = await client.ask(fetch, 11, { ...fetchOf('readings', [0]), sessionId: 9, sessionEpoch: 1 });
  expect(next).toMatchObject({ errorCode: KafkaError.FETCH_SESSION_ID_NOT_FOUND, responses: [] });
});

test('read_committed has an empty list of aborted transactions, read_uncommitted none', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const [uncommitted] = await fetchAll(client, 'readings', [0]);
  expect(uncommitted?.abortedTransactions).toBeNull();
  const committed = await client.ask(fetch, 12, { ...fetchOf('readings', [0]), isolationLevel: 1 });
  expect(committed.responses[0]!.partitions[0]!.abortedTransactions).toEqual([]);
});

test('a client with a newer leader epoch than ours is told so', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const partitions = [{ partition: 0, fetchOffset: 0, currentLeaderEpoch: 4, partitionMaxBytes: 1 }];
  const answer = await client.ask(fetch, 12, {
    ...fetchOf('readings', []),
    topics: [{ topic: 'readings', partitions }],
  });
  expect(answer.responses[0]!.partitions[0]!.errorCode).toBe(KafkaError.UNKNOWN_LEADER_EPOCH);
});

async function untilListening(count: () => number): Promise<void> {
  while (count() === 0) await new Promise((resolve) => setImmediate(resolve));
}

test('of many partitions a few are read at once, and one where an answer may have nothing more', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 40 });
  let [running, most, reads] = [0, 0, 0];
  for (const partition of log.topic('readings')!.partitions) {
    await partition.append(batchOf(['a'.repeat(1000)]));
    const read = partition.read.bind(partition);
    partition.read = async (...given) => {
      running += 1;
      reads += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return read(...given);
    };
  }
  const offsets = Array.from({ length: 40 }, () => 0);
  const client = await connect();
  const all = await fetchAll(client, 'readings', offsets, { partitionMaxBytes: 2000 });
  expect(all.every((each) => valuesOf(each).length === 1)).toBe(true);
  expect([most, reads]).toEqual([8, 40]);
  reads = 0;
  const one = await fetchAll(client, 'readings', offsets, { maxBytes: 0 });
  expect(one.filter((each) => valuesOf(each).length === 1)).toHaveLength(1);
  expect(reads).toBe(1);
});

test('a first batch beyond all limits leaves nothing for those that were read with it', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 3 });
  const [large, ...small] = log.topic('readings')!.partitions;
  await large!.append(batchOf(['a'.repeat(50_000)]));
  for (const partition of small) await partition.append(batchOf(['b'.repeat(10_000)]));
  const client = await connect();
  const outcomes = await fetchAll(client, 'readings', [0, 0, 0], { partitionMaxBytes: 20_000, maxBytes: 60_000 });
  expect(outcomes.map((each) => valuesOf(each).length)).toEqual([1, 0, 0]);
});
