// Transactions as clients speak of them, on a log of its own folder: from the first request to what readers get.

import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { decodeRecords, encodeBatch } from '../../src/formats/batch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { listOffsets } from '../../src/formats/kafka/02-list-offsets.ts';
import { offsetCommit } from '../../src/formats/kafka/08-offset-commit.ts';
import { offsetFetch } from '../../src/formats/kafka/09-offset-fetch.ts';
import { findCoordinator } from '../../src/formats/kafka/10-find-coordinator.ts';
import { initProducerId } from '../../src/formats/kafka/22-init-producer-id.ts';
import { addPartitionsToTxn } from '../../src/formats/kafka/24-add-partitions-to-txn.ts';
import { addOffsetsToTxn } from '../../src/formats/kafka/25-add-offsets-to-txn.ts';
import { endTxn } from '../../src/formats/kafka/26-end-txn.ts';
import { writeTxnMarkers } from '../../src/formats/kafka/27-write-txn-markers.ts';
import { txnOffsetCommit } from '../../src/formats/kafka/28-txn-offset-commit.ts';
import { describeProducers } from '../../src/formats/kafka/61-describe-producers.ts';
import { describeTransactions } from '../../src/formats/kafka/65-describe-transactions.ts';
import { listTransactions } from '../../src/formats/kafka/66-list-transactions.ts';
import { KafkaError } from '../../src/formats/kafka/codes.ts';
import { openGroups } from '../../src/groups/groups.ts';
import { openKafka } from '../../src/kafka/kafka.ts';
import { openTransactions, type TransactionSettings } from '../../src/transactions/transactions.ts';
import { openLogFolder, silent } from '../log/open-log.ts';
import { RawClient } from './raw-client.ts';

async function openNode(settings: Partial<TransactionSettings> = {}) {
  const folder = await openLogFolder();
  let close = async (): Promise<void> => undefined;

  async function open(): Promise<RawClient> {
    const shared = { log: folder.log, clock: systemClock, trace: silent };
    const groups = openGroups(shared);
    const offsets = { settle: groups.settle, producers: groups.stagedBy };
    const transactions = openTransactions({ ...shared, offsets, settings });
    const kafka = await openKafka({ ...shared, groups, transactions, listen: { host: '127.0.0.1', port: 0 } });
    const client = await RawClient.connect(kafka.port);
    close = async () => {
      client.end();
      await kafka.close();
      transactions.close();
      groups.close();
    };
    return client;
  }

  const node = {
    folder,
    client: await open(),
    /** The rooms anew, on what is on the card. */
    async restart() {
      await close();
      await folder.reopen();
      node.client = await open();
    },
  };
  onTestFinished(async () => {
    await close();
    await folder.remove();
  });
  await folder.log.createTopic('t', { partitions: 2 });
  return node;
}

interface Producer {
  transactionalId: string;
  producerId: number;
  producerEpoch: number;
}

async function begin(client: RawClient, transactionalId = 'x', version = 5): Promise<Producer> {
  const answer = await client.ask(initProducerId, version, { transactionalId, transactionTimeoutMs: 60_000 });
  expect(answer.errorCode).toBe(0);
  return { transactionalId, producerId: answer.producerId, producerEpoch: answer.producerEpoch };
}

async function add(client: RawClient, producer: Producer, partitions = [0], version = 3): Promise<number[]> {
  const answer = await client.ask(addPartitionsToTxn, version, {
    v3AndBelowTransactionalId: producer.transactionalId,
    v3AndBelowProducerId: producer.producerId,
    v3AndBelowProducerEpoch: producer.producerEpoch,
    v3AndBelowTopics: [{ name: 't', partitions }],
  });
  return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode);
}

async function send(
  client: RawClient,
  producer: Producer,
  value: string,
  baseSequence = 0,
  partition = 0,
  version = 9,
) {
  const { transactionalId, ...own } = producer;
  const record = { timestampMs: 1000, key: null, value: Buffer.from(value) };
  const records = encodeBatch([record], { ...own, baseSequence, isTransactional: true });
  const topicData = [{ name: 't', partitionData: [{ index: partition, records }] }];
  const answer = await client.ask(produce, version, { transactionalId, acks: -1, timeoutMs: 1000, topicData });
  return answer.responses[0]!.partitionResponses[0]!.errorCode;
}

async function end(client: RawClient, producer: Producer, committed: boolean, version = 4): Promise<number> {
  return (await client.ask(endTxn, version, { ...producer, committed })).errorCode;
}

async function read(client: RawClient, isolationLevel: number, fetchOffset = 0, maxWaitMs = 0) {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }];
  const topics = [{ topic: 't', partitions }];
  const answer = await client.ask(fetch, 12, { maxWaitMs, minBytes: 1, maxBytes: 1 << 20, isolationLevel, sessionEpoch: -1, topics }); // prettier-ignore
  return answer.responses[0]!.partitions[0]!;
}

async function latest(client: RawClient, isolationLevel: number): Promise<number> {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }];
  const answer = await client.ask(listOffsets, 7, { isolationLevel, topics });
  return answer.topics[0]!.partitions[0]!.offset;
}

test('the coordinator of a transactional id is this node, in all versions', async () => {
  const { client } = await openNode();
  for (let version = 1; version <= 6; version += 1) {
    const asked = version < 4 ? { key: 'x', keyType: 1 } : { coordinatorKeys: ['x'], keyType: 1 };
    const answer = await client.ask(findCoordinator, version, asked);
    expect(version < 4 ? answer : answer.coordinators[0]).toMatchObject({ errorCode: 0, nodeId: 1 });
  }
});

test('records of a transaction are committed together, over partitions, and readers of committed ones wait for that', async () => {
  const { client, folder } = await openNode();
  const producer = await begin(client);
  expect(await add(client, producer, [0, 1])).toEqual([0, 0]);
  expect(await send(client, producer, 'a')).toBe(0);
  expect(await send(client, producer, 'b', 0, 1)).toBe(0);
  expect(await read(client, 0)).toMatchObject({ highWatermark: 1, lastStableOffset: 0, abortedTransactions: null });
  const before = await read(client, 1);
  expect(before).toMatchObject({ highWatermark: 1, lastStableOffset: 0, abortedTransactions: [] });
  expect(before.records).toHaveLength(0);
  expect([await latest(client, 0), await latest(client, 1)]).toEqual([1, 0]);
  const commitsBefore = folder.log.status().commits.count;
  expect(await end(client, producer, true)).toBe(0);
  expect(folder.log.status().commits.count).toBe(commitsBefore + 1);
  const after = await read(client, 1);
  expect(after).toMatchObject({ highWatermark: 2, lastStableOffset: 2, abortedTransactions: [] });
  expect(String(decodeRecords(after.records as Buffer)[0]!.value)).toBe('a');
  expect(await latest(client, 1)).toBe(2);
  expect(folder.log.topic('t')!.partitions[1]!.lastStableOffset).toBe(2);
  // The answer may have got lost.
  expect(await end(client, producer, true)).toBe(0);
  expect(await end(client, producer, false)).toBe(0);
});

test('what is aborted is told to readers of committed records, who are woken by the marker', async () => {
  const { client } = await openNode();
  const producer = await begin(client);
  await add(client, producer);
  await send(client, producer, 'a');
  const reader = await RawClient.connect(client.socket.remotePort!);
  onTestFinished(() => reader.end());
  const waiting = read(reader, 1, 0, 30_000);
  expect(await end(client, producer, false)).toBe(0);
  expect(await waiting).toMatchObject({
    lastStableOffset: 2,
    abortedTransactions: [{ producerId: producer.producerId, firstOffset: 0 }],
  });
  expect((await read(client, 1, 2)).abortedTransactions).toEqual([]);
});

test('a batch needs its partition added, in the words of each version', async () => {
  const { client } = await openNode();
  const producer = await begin(client);
  expect(await send(client, producer, 'a', 0, 0, 9)).toBe(KafkaError.INVALID_TXN_STATE);
  expect(await send(client, producer, 'a', 0, 0, 11)).toBe(KafkaError.TRANSACTION_ABORTABLE);
  expect(await send(client, { ...producer, producerEpoch: 7 }, 'a')).toBe(KafkaError.INVALID_PRODUCER_EPOCH);
  expect(await send(client, { ...producer, transactionalId: 'y' }, 'a')).toBe(KafkaError.INVALID_PRODUCER_ID_MAPPING);
  expect(await add(client, producer, [0, 2])).toEqual([
    KafkaError.OPERATION_NOT_ATTEMPTED,
    KafkaError.UNKNOWN_TOPIC_OR_PARTITION,
  ]);
});

test('who begins anew fences the one before, and aborts its transaction', async () => {
  const { client } = await openNode();
  const zombie = await begin(client);
  await add(client, zombie);
  await send(client, zombie, 'a');
  const next = await begin(client);
  expect(next).toEqual({ ...zombie, producerEpoch: 1 });
  expect(await read(client, 1)).toMatchObject({ lastStableOffset: 2, abortedTransactions: [{ firstOffset: 0 }] });
  expect(await send(client, zombie, 'b', 1)).toBe(KafkaError.INVALID_PRODUCER_EPOCH);
  expect(await add(client, zombie, [0], 3)).toEqual([KafkaError.PRODUCER_FENCED]);
  expect(await add(client, zombie, [0], 1)).toEqual([KafkaError.INVALID_PRODUCER_EPOCH]);
  expect(await end(client, zombie, true)).toBe(KafkaError.PRODUCER_FENCED);
  expect(await end(client, zombie, true, 1)).toBe(KafkaError.INVALID_PRODUCER_EPOCH);
  const asked = { ...zombie, transactionTimeoutMs: 1000 };
  expect((await client.ask(initProducerId, 4, asked)).errorCode).toBe(KafkaError.PRODUCER_FENCED);
  expect((await client.ask(initProducerId, 3, asked)).errorCode).toBe(KafkaError.INVALID_PRODUCER_EPOCH);
  await add(client, next);
  expect(await send(client, next, 'c')).toBe(0);
  expect(await end(client, next, true)).toBe(0);
});

test('offsets of a transaction count from its commit on, and are unstable until then', async () => {
  const node = await openNode();
  const producer = await begin(node.client);
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: 'm' }] }];
  const stage = async (version: number) => {
    const answer = await node.client.ask(txnOffsetCommit, version, { ...producer, groupId: 'g', topics });
    return answer.topics[0]!.partitions[0]!.errorCode;
  };
  const offset = async (requireStable: boolean) => {
    const asked = [{ name: 't', partitionIndexes: [0] }];
    const answer = await node.client.ask(offsetFetch, 7, { groupId: 'g', topics: asked, requireStable });
    const { committedOffset, errorCode } = answer.topics[0]!.partitions[0]!;
    return [committedOffset, errorCode];
  };
  expect(await stage(3)).toBe(KafkaError.INVALID_TXN_STATE);
  expect(await stage(4)).toBe(KafkaError.TRANSACTION_ABORTABLE);
  expect((await node.client.ask(addOffsetsToTxn, 3, { ...producer, groupId: 'g' })).errorCode).toBe(0);
  for (const version of [0, 1, 2, 3, 4]) expect(await stage(version)).toBe(0);
  expect(await offset(false)).toEqual([-1, 0]);
  expect(await offset(true)).toEqual([-1, KafkaError.UNSTABLE_OFFSET_COMMIT]);
  await node.restart();
  expect(await offset(true)).toEqual([-1, KafkaError.UNSTABLE_OFFSET_COMMIT]);
  expect(await end(node.client, producer, true)).toBe(0);
  expect(await offset(true)).toEqual([5, 0]);
  await node.client.ask(addOffsetsToTxn, 3, { ...producer, groupId: 'g' });
  topics[0]!.partitions[0]!.committedOffset = 9;
  expect(await stage(3)).toBe(0);
  expect(await end(node.client, producer, false)).toBe(0);
  expect(await offset(true)).toEqual([5, 0]);
  await node.restart();
  expect(await offset(true)).toEqual([5, 0]);
  const plain = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 6, committedMetadata: '' }] }];
  await node.client.ask(offsetCommit, 2, { groupId: 'g', topics: plain });
  expect(await offset(true)).toEqual([6, 0]);
});

test('an open transaction survives a restart, and is ended by its producer', async () => {
  const node = await openNode();
  const producer = await begin(node.client);
  await add(node.client, producer);
  await send(node.client, producer, 'a');
  await node.restart();
  expect(await send(node.client, producer, 'b', 1)).toBe(0);
  expect(await read(node.client, 1)).toMatchObject({ lastStableOffset: 0 });
  expect(await end(node.client, producer, true)).toBe(0);
  expect(await read(node.client, 1)).toMatchObject({ lastStableOffset: 3, abortedTransactions: [] });
});

test('a transaction that takes too long is aborted, and its producer fenced', async () => {
  const { client } = await openNode();
  const { producerId, producerEpoch } = await client.ask(initProducerId, 4, {
    transactionalId: 'x',
    transactionTimeoutMs: 100,
  });
  const producer = { transactionalId: 'x', producerId, producerEpoch };
  await add(client, producer);
  await send(client, producer, 'a');
  await expect.poll(async () => (await read(client, 1)).lastStableOffset).toBe(2);
  expect(await end(client, producer, true)).toBe(KafkaError.PRODUCER_FENCED);
  expect((await begin(client)).producerEpoch).toBe(2);
});

test('a time-out longer than the node allows, an empty id and half a producer are refused', async () => {
  const { client } = await openNode({ timeoutMsMax: 1000 });
  const code = async (transactionalId: string, transactionTimeoutMs: number, producerId = -1) =>
    (await client.ask(initProducerId, 4, { transactionalId, transactionTimeoutMs, producerId })).errorCode;
  expect(await code('x', 1001)).toBe(KafkaError.INVALID_TRANSACTION_TIMEOUT);
  expect(await code('x', 0)).toBe(KafkaError.INVALID_TRANSACTION_TIMEOUT);
  expect(await code('', 1000)).toBe(KafkaError.INVALID_REQUEST);
  expect(await code('x', 1000, 5)).toBe(KafkaError.INVALID_REQUEST);
  expect(await code('x', 1000)).toBe(0);
});

test('ids are listed by state and described with what is open', async () => {
  const { client } = await openNode();
  const producer = await begin(client, 'open');
  const other = await begin(client, 'other');
  await add(client, producer, [1, 0]);
  const listed = await client.ask(listTransactions, 1, { stateFilters: ['Ongoing', 'Odd'], producerIdFilters: [] });
  expect(listed.unknownStateFilters).toEqual(['Odd']);
  expect(listed.transactionStates).toMatchObject([{ transactionalId: 'open', transactionState: 'Ongoing' }]);
  const byId = { stateFilters: [], producerIdFilters: [other.producerId] };
  expect((await client.ask(listTransactions, 0, byId)).transactionStates).toMatchObject([
    { transactionState: 'Empty' },
  ]);
  const long = { stateFilters: [], producerIdFilters: [], durationFilter: 60_000 };
  expect((await client.ask(listTransactions, 1, long)).transactionStates).toEqual([]);
  const described = await client.ask(describeTransactions, 0, { transactionalIds: ['open', 'none'] });
  expect(described.transactionStates).toMatchObject([
    { transactionState: 'Ongoing', transactionTimeoutMs: 60_000, topics: [{ topic: 't', partitions: [0, 1] }] },
    { errorCode: KafkaError.TRANSACTIONAL_ID_NOT_FOUND },
  ]);
});

test('a transaction that no coordinator knows is aborted by hand, and at the start', async () => {
  const node = await openNode();
  const hang = async (producerId: number) => {
    const record = { timestampMs: 1000, key: null, value: Buffer.from('a') };
    const batch = encodeBatch([record], { producerId, producerEpoch: 3, baseSequence: 0, isTransactional: true });
    await node.folder.log.topic('t')!.partitions[0]!.append(batch, true);
  };
  const abort = async (producer: { producerId: number; producerEpoch: number }, transactionResult = false) => {
    const markers = [{ ...producer, transactionResult, topics: [{ name: 't', partitionIndexes: [0] }] }];
    const answer = await node.client.ask(writeTxnMarkers, 1, { markers });
    return answer.markers[0]!.topics[0]!.partitions[0]!.errorCode;
  };
  await hang(70);
  const asked = { topics: [{ name: 't', partitionIndexes: [0] }] };
  const known = await node.client.ask(describeProducers, 0, asked);
  expect(known.topics[0]!.partitions[0]!.activeProducers).toMatchObject([
    { producerId: 70, producerEpoch: 3, coordinatorEpoch: -1, currentTxnStartOffset: 0 },
  ]);
  expect(await abort({ producerId: 70, producerEpoch: 2 })).toBe(KafkaError.INVALID_PRODUCER_EPOCH);
  expect(await abort({ producerId: 70, producerEpoch: 3 }, true)).toBe(KafkaError.CLUSTER_AUTHORIZATION_FAILED);
  expect(await abort({ producerId: 70, producerEpoch: 3 })).toBe(0);
  expect(await read(node.client, 1)).toMatchObject({ lastStableOffset: 2, abortedTransactions: [{ producerId: 70 }] });
  const producer = await begin(node.client);
  await add(node.client, producer);
  await send(node.client, producer, 'b');
  expect(await abort(producer)).toBe(KafkaError.INVALID_TXN_STATE);
  await hang(71);
  expect(await end(node.client, producer, true)).toBe(0);
  expect(await read(node.client, 1)).toMatchObject({ lastStableOffset: 3 });
  await node.restart();
  await expect.poll(async () => (await read(node.client, 1)).lastStableOffset).toBe(6);
});
