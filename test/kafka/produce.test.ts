import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors.ts';
import { readBatchHeader } from '../../src/formats/batch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { KafkaError } from '../../src/formats/kafka/codes.ts';
import { RecordsRefused } from '../../src/log/log.ts';
import { batchOf, openDoor, produceOf, produceOne } from './open-door.ts';

test('a batch is appended as it is, and answered with its offset, in every version from 3', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  for (let version = 3; version <= 12; version++) {
    const outcome = await produceOne(client, 'readings', batchOf(['a', 'b']), { version });
    expect(outcome).toMatchObject({ index: 0, errorCode: 0, baseOffset: (version - 3) * 2 });
  }
  expect(log.partition('readings').batches.map((batch) => readBatchHeader(batch).baseOffset)).toHaveLength(10);
  expect(kafka.status().produced.records).toBe(20);
});

test('from version 13 on topics go by id, and an unknown one is told as such', async () => {
  const { log, connect } = await openDoor();
  const { id } = await log.createTopic('readings');
  const client = await connect();
  for (const topicId of [id, Buffer.alloc(16, 7)]) {
    const topicData = [{ topicId, partitionData: [{ index: 0, records: batchOf(['a']) }] }];
    const { responses } = await client.ask(produce, 13, { acks: -1, timeoutMs: 1, topicData });
    expect(responses[0]!.topicId).toEqual(topicId);
    expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(topicId === id ? 0 : KafkaError.UNKNOWN_TOPIC_ID);
  }
  expect(log.partition('readings').batches).toHaveLength(1);
});

test('versions 0 to 2 are answered with an error that these versions can read', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  for (const version of [0, 1, 2]) {
    const outcome = await produceOne(client, 'readings', batchOf(['a']), { version });
    expect(outcome.errorCode).toBe(KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT);
  }
  expect(log.partition('readings').batches).toHaveLength(0);
});

test('a batch above message.max.bytes is too large', async () => {
  const { log, connect } = await openDoor({ settings: { 'message.max.bytes': 1200 } });
  await log.createTopic('readings');
  const client = await connect();
  const large = await produceOne(client, 'readings', batchOf(['x'.repeat(1200)]));
  expect([large.errorCode, large.errorMessage]).toEqual([10, expect.stringContaining('where 1200 are allowed')]);
  expect((await produceOne(client, 'readings', batchOf(['x'.repeat(1000)]))).errorCode).toBe(0);
});

test("a topic's own max.message.bytes counts more than the node's, in both directions", async () => {
  const { log, connect } = await openDoor({ settings: { 'message.max.bytes': 1200 } });
  await log.createTopic('large', { batchBytesMax: 5000 });
  await log.createTopic('small', { batchBytesMax: 100 });
  const client = await connect();
  const produced = async (topic: string) => (await produceOne(client, topic, batchOf(['x'.repeat(1100)]))).errorCode;
  expect([await produced('large'), await produced('small')]).toEqual([0, 10]);
});

test('records that a topic refuses are named from version 8 on, with an error that fits them', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  log.failAppends(new RecordsRefused('TIMESTAMP_INVALID', 'two are too old', [{ index: 1, message: 'too old' }]));
  const client = await connect();
  for (let version = 3; version <= 12; version++) {
    const outcome = await produceOne(client, 'readings', batchOf(['a', 'b']), { version });
    expect(outcome.errorCode).toBe(KafkaError.INVALID_TIMESTAMP);
    const named = [{ batchIndex: 1, batchIndexErrorMessage: 'too old' }];
    expect(outcome).toMatchObject(
      version < 8 ? { recordErrors: [] } : { recordErrors: named, errorMessage: 'two are too old' },
    );
  }
});

test('each partition has its own outcome', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 2 });
  const client = await connect();
  const corrupt = batchOf(['spoilt']);
  corrupt[corrupt.length - 1]! ^= 1;
  const partitionData = [
    { index: 0, records: batchOf(['good']) },
    { index: 1, records: corrupt },
    { index: 2, records: batchOf(['nowhere']) },
    { index: -1, records: batchOf(['nowhere']) },
  ];
  const topicData = [
    { name: 'readings', partitionData },
    { name: 'unknown', partitionData: partitionData.slice(0, 1) },
  ];
  const answer = await client.ask(produce, 9, { acks: -1, timeoutMs: 1, topicData });
  expect(answer.responses.map((topic) => topic.partitionResponses.map((each) => each.errorCode))).toEqual([
    [
      KafkaError.NONE,
      KafkaError.CORRUPT_MESSAGE,
      KafkaError.UNKNOWN_TOPIC_OR_PARTITION,
      KafkaError.UNKNOWN_TOPIC_OR_PARTITION,
    ],
    [KafkaError.UNKNOWN_TOPIC_OR_PARTITION],
  ]);
});

test('what is no single batch of version 2 is an invalid record', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const old = batchOf(['a']);
  old[16] = 1;
  for (const records of [null, Buffer.alloc(0), old]) {
    expect((await produceOne(client, 'readings', records)).errorCode).toBe(KafkaError.INVALID_RECORD);
  }
  expect((await produceOne(client, 'readings', Buffer.alloc(10))).errorCode).toBe(KafkaError.CORRUPT_MESSAGE);
});

test('zstd needs version 7', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const records = () => batchOf(['a'.repeat(100)], { compression: 'zstd' });
  const outcome = await produceOne(client, 'readings', records(), { version: 6 });
  expect(outcome.errorCode).toBe(KafkaError.UNSUPPORTED_COMPRESSION_TYPE);
  expect((await produceOne(client, 'readings', records(), { version: 7 })).errorCode).toBe(KafkaError.NONE);
});

test('a duplicate of an idempotent producer is answered with the first offset, a gap and an old epoch are not', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const batch = (baseSequence: number, producerEpoch = 1) =>
    batchOf(['a'], { producerId: 7, producerEpoch, baseSequence });
  expect(await produceOne(client, 'readings', batch(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect(await produceOne(client, 'readings', batch(1))).toMatchObject({ errorCode: 0, baseOffset: 1 });
  expect(await produceOne(client, 'readings', batch(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect((await produceOne(client, 'readings', batch(5))).errorCode).toBe(45);
  expect((await produceOne(client, 'readings', batch(2, 0))).errorCode).toBe(47);
  expect(kafka.status().produced.records).toBe(2);
});

test('with acks 0 there is no answer, and the next request is served', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  client.send(produce, 9, produceOf('readings', batchOf(['silent']), 0, 0));
  client.socket.resume();
  const answer = await produceAfterSilence(client);
  expect(answer.responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 1 });

  async function produceAfterSilence(from: typeof client) {
    return from.ask(produce, 9, produceOf('readings', batchOf(['loud'])));
  }
});

test('with acks 0 a failure closes the connection', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  client.send(produce, 9, produceOf('unknown', batchOf(['silent']), 0, 0));
  await client.closed();
});

test('wrong acks, and a batch of a transaction without its id, are refused', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  expect((await produceOne(client, 'readings', batchOf(['a']), { acks: 2 })).errorCode).toBe(21);
  const stamp = { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true };
  expect((await produceOne(client, 'readings', batchOf(['a'], stamp))).errorCode).toBe(53);
});

test('a failing card is told as a storage error, without a word about this machine', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  log.failAppends(new HeadwaterError('STORE_UNAVAILABLE', 'write to /data/segments/7 failed: ENOSPC'));
  const client = await connect();
  const outcome = await produceOne(client, 'readings', batchOf(['a']));
  expect(outcome).toMatchObject({ errorCode: KafkaError.KAFKA_STORAGE_ERROR, errorMessage: null, baseOffset: -1 });
});
