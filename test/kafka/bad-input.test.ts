// What no good client sends: it is told so in Kafka's words, or its connection is closed with a line, and others go on.

import { expect, test } from 'vitest';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { joinGroup } from '../../src/formats/kafka/11-join-group.ts';
import { apiVersions } from '../../src/formats/kafka/18-api-versions.ts';
import { createTopics } from '../../src/formats/kafka/19-create-topics.ts';
import { consumerGroupHeartbeat } from '../../src/formats/kafka/68-consumer-group-heartbeat.ts';
import { encodeRequest } from '../../src/formats/kafka/envelope.ts';
import { batchOf, openDoor, produceOf, produceOne } from './open-door.ts';

const INVALID_TOPIC = 17;
const CORRUPT_MESSAGE = 2;
const LINE = 'warn kafka closed a connection';

test.for(['', '.', '..', 'a/b', 'a b', 'ü', '\u0000', 'n'.repeat(250), '../../etc'])(
  'no topic is made of the name %j',
  async (name) => {
    const { log, connect } = await openDoor();
    const client = await connect();
    const made = await client.ask(createTopics, 5, { topics: [{ name, numPartitions: 1, replicationFactor: 1 }] });
    expect(made.topics[0]!.errorCode).toBe(INVALID_TOPIC);
    const asked = await client.ask(metadata, 9, { topics: [{ name }], allowAutoTopicCreation: true });
    expect(asked.topics[0]!.errorCode).toBe(INVALID_TOPIC);
    expect(log.topics()).toEqual([]);
  },
);

test('a name of 249 characters is one', async () => {
  const { connect } = await openDoor();
  const name = 'n'.repeat(249);
  const client = await connect();
  const asked = await client.ask(metadata, 9, { topics: [{ name }], allowAutoTopicCreation: true });
  expect(asked.topics[0]).toMatchObject({ errorCode: 0, name });
});

test('a batch with a wrong checksum is refused, and nothing of it is kept', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('t');
  const client = await connect();
  const batch = batchOf(['value']);
  batch[batch.length - 1]! ^= 1;
  expect(await produceOne(client, 't', batch)).toMatchObject({ errorCode: CORRUPT_MESSAGE });
  expect(log.partition('t').highWatermark).toBe(0);
  expect(await produceOne(client, 't', batchOf(['value']))).toMatchObject({ errorCode: 0, baseOffset: 0 });
});

/** A request whose bytes are `good`'s, but for one part that stands in it once. */
function spoilt(good: Buffer[], part: string, by: Buffer): Buffer {
  const frame = Buffer.concat(good);
  const at = frame.indexOf(part);
  const bytes = Buffer.concat([frame.subarray(0, at), by, frame.subarray(at + part.length)]);
  bytes.writeInt32BE(bytes.length - 4, 0);
  return bytes;
}

const header = { correlationId: 1, clientId: 'x' };
const beat = { groupId: 'g', memberId: 'MARK', memberEpoch: 0 };
/** Key, version, correlation id, no client id, and what follows. */
function framed(apiKey: number, version: number, rest: string): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(14), Buffer.from(rest.replaceAll(' ', ''), 'hex')]);
  bytes.writeInt32BE(bytes.length - 4, 0);
  bytes.writeInt16BE(apiKey, 4);
  bytes.writeInt16BE(version, 6);
  bytes.writeInt16BE(-1, 12);
  return bytes;
}

const notUtf8 = Buffer.from([0xc3, 0x28, 0xff, 0xfe]);
const byName = encodeRequest(metadata, 1, header, { topics: [{ name: 'MARK' }] });
const frames: [what: string, frame: Buffer][] = [
  ['a name that is not UTF-8', spoilt(byName, 'MARK', notUtf8)],
  ['a group that is not UTF-8', spoilt(encodeRequest(consumerGroupHeartbeat, 1, header, beat), 'MARK', notUtf8)],
  ['two thousand million tagged fields', framed(18, 3, 'ffffffff07 0000')],
  ['a tagged field that is larger than all', framed(18, 3, '01 00 ffffffff07 00')],
  [
    'tagged fields within tagged fields that never end',
    framed(18, 3, '01 0a 09 01 08 07 01 06 05 01 04 03 01 02 01 01'),
  ],
  ['a length that goes on for ever', framed(18, 3, 'ffffffffffffffffffff')],
  ['an array of all numbers there are', framed(3, 1, '7fffffff 7fff')],
  ['an array of less than none', framed(3, 1, '80000000')],
  ['an API of no number', framed(-1, 0, '00000000')],
  ['a version below all', framed(3, -1, '00000000')],
  ['nothing behind its header', framed(11, 0, '')],
];

test.for(frames)('%s ends that connection with a line, and no other', async ([, frame]) => {
  const { kafka, lines, connect } = await openDoor();
  const [bad, good] = [await connect(), await connect()];
  bad.write(frame);
  await bad.closed();
  expect((await good.ask(metadata, 9, { topics: null })).controllerId).toBe(1);
  expect(lines.filter((line) => line.includes(LINE))).toHaveLength(1);
  expect(kafka.status().inFlight).toEqual({ requestBytes: 0, responseBytes: 0 });
});

test('a request before ApiVersions is served', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  expect((await client.ask(metadata, 9, { topics: null })).controllerId).toBe(1);
  expect((await client.ask(apiVersions, 3, { clientSoftwareName: 'x', clientSoftwareVersion: '1' })).errorCode).toBe(0);
});

test('bad connections without end print a few lines', async () => {
  const { kafka, lines, connect } = await openDoor();
  for (let count = 0; count < 100; count++) {
    const bad = await connect();
    bad.write(Buffer.from('7fffffff', 'hex'));
    await bad.closed();
  }
  expect(kafka.status().malformed).toBe(100);
  expect(lines.filter((line) => line.includes(LINE)).length).toBeLessThanOrEqual(12);
});

test('a group of a name beyond all measure is refused, whatever protocol its member speaks', async () => {
  const { groups, connect } = await openDoor();
  const client = await connect();
  const groupId = 'g'.repeat(2000);
  const classic = { groupId, sessionTimeoutMs: 10_000, memberId: '', protocolType: 'consumer' };
  const joined = await client.ask(joinGroup, 3, {
    ...classic,
    protocols: [{ name: 'range', metadata: Buffer.alloc(1) }],
  });
  expect(joined.errorCode).toBe(24);
  const wanted = { rebalanceTimeoutMs: 1, subscribedTopicNames: [], topicPartitions: [] };
  expect(await client.ask(consumerGroupHeartbeat, 1, { ...beat, ...wanted, groupId })).toMatchObject({ errorCode: 42 });
  expect(groups.status().groups).toBe(0);
});

test('many partitions of a topic that is not there are refused one by one', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  const message = produceOf('none', batchOf(['x']));
  const partitionData = Array.from({ length: 1000 }, (_, index) => ({ index: index - 500, records: batchOf(['x']) }));
  const answer = await client.ask(produce, 9, { ...message, topicData: [{ name: 'none', partitionData }] });
  expect(new Set(answer.responses[0]!.partitionResponses.map(({ errorCode }) => errorCode))).toEqual(new Set([3]));
});
