// What the short and the long fuzzing of the Kafka protocol share: good messages as Kafka's own classes write them, the
// decoders on spoilt ones, and a live door that is sent spoilt requests.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { isHeadwaterError } from '../../src/errors.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { listOffsets } from '../../src/formats/kafka/02-list-offsets.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { offsetCommit } from '../../src/formats/kafka/08-offset-commit.ts';
import { offsetFetch } from '../../src/formats/kafka/09-offset-fetch.ts';
import { findCoordinator } from '../../src/formats/kafka/10-find-coordinator.ts';
import { joinGroup } from '../../src/formats/kafka/11-join-group.ts';
import { heartbeat } from '../../src/formats/kafka/12-heartbeat.ts';
import { leaveGroup } from '../../src/formats/kafka/13-leave-group.ts';
import { syncGroup } from '../../src/formats/kafka/14-sync-group.ts';
import { describeGroups } from '../../src/formats/kafka/15-describe-groups.ts';
import { listGroups } from '../../src/formats/kafka/16-list-groups.ts';
import { saslHandshake } from '../../src/formats/kafka/17-sasl-handshake.ts';
import { apiVersions } from '../../src/formats/kafka/18-api-versions.ts';
import { createTopics } from '../../src/formats/kafka/19-create-topics.ts';
import { deleteTopics } from '../../src/formats/kafka/20-delete-topics.ts';
import { deleteRecords } from '../../src/formats/kafka/21-delete-records.ts';
import { initProducerId } from '../../src/formats/kafka/22-init-producer-id.ts';
import { offsetForLeaderEpoch } from '../../src/formats/kafka/23-offset-for-leader-epoch.ts';
import { describeConfigs } from '../../src/formats/kafka/32-describe-configs.ts';
import { deleteGroups } from '../../src/formats/kafka/42-delete-groups.ts';
import { offsetDelete } from '../../src/formats/kafka/47-offset-delete.ts';
import { describeClientQuotas } from '../../src/formats/kafka/48-describe-client-quotas.ts';
import { describeUserScramCredentials } from '../../src/formats/kafka/50-describe-user-scram-credentials.ts';
import { describeCluster } from '../../src/formats/kafka/60-describe-cluster.ts';
import { describeProducers } from '../../src/formats/kafka/61-describe-producers.ts';
import { listConfigResources } from '../../src/formats/kafka/74-list-config-resources.ts';
import { describeTopicPartitions } from '../../src/formats/kafka/75-describe-topic-partitions.ts';
import { allApis } from '../formats/kafka/tables.ts';
import { codecOf, MessageReader, MessageWriter } from '../../src/formats/kafka/codec.ts';
import { decodeRequestHeader, encodeRequest, isFlexible } from '../../src/formats/kafka/envelope.ts';
import { FrameSplitter } from '../../src/formats/kafka/framing.ts';
import { includes, type Api, type Fields, type RequestDraft } from '../../src/formats/kafka/schema.ts';
import { produceOne } from '../kafka/open-door.ts';
import { RawClient } from '../kafka/raw-client.ts';
import { spoil, type Random } from './random.ts';

export interface Message {
  api: Api;
  fields: Fields;
  version: number;
  bytes: Buffer;
}

const GOLDEN = new URL('../golden/kafka/messages-4.3.1.txt', import.meta.url);

export function goodMessages(): Message[] {
  const messages: Message[] = [];
  for (const line of readFileSync(GOLDEN, 'utf8').trim().split('\n')) {
    const [name = '', versionText = '', digits = ''] = line.split(' ', 3);
    const version = Number(versionText);
    const api = allApis().find((each) => name === `${each.name}Request` || name === `${each.name}Response`);
    if (api === undefined || !includes(api.versions, version)) continue;
    const fields = name.endsWith('Request') ? api.request : api.response;
    messages.push({ api, fields, version, bytes: Buffer.from(digits, 'hex') });
  }
  return messages;
}

/** Decodes a spoilt message; what decodes is written and comes back the same. True if it decoded. */
export function fuzzMessage(random: Random, good: readonly Message[]): boolean {
  const { api, fields, version, bytes } = random.pick(good);
  const codec = codecOf(fields, version, isFlexible(api, version));
  let message: unknown;
  try {
    message = codec.read(new MessageReader(spoil(random, bytes), 1000));
  } catch (error) {
    if (isHeadwaterError(error, 'FORMAT_CORRUPT') || isHeadwaterError(error, 'FORMAT_TRUNCATED')) return false;
    throw error;
  }
  const writer = new MessageWriter();
  codec.write(writer, message);
  const again = codec.read(new MessageReader(Buffer.concat(writer.pieces()), 1000));
  if (!isDeepStrictEqual(again, message)) throw new Error(`${api.name} ${version} does not come back the same`);
  return true;
}

/** Any bytes cut into frames, and their headers. */
export function fuzzFrames(random: Random): void {
  const splitter = new FrameSplitter(1000);
  try {
    for (let pieces = random.below(20); pieces > 0; pieces--) {
      const size = Buffer.alloc(4);
      size.writeInt32BE(random.below(40));
      const piece = random.below(2) === 0 ? size : random.bytes(random.below(60));
      for (const frame of splitter.push(piece)) decodeRequestHeader(frame);
    }
  } catch (error) {
    if (!isHeadwaterError(error, 'FORMAT_CORRUPT') && !isHeadwaterError(error, 'FORMAT_TRUNCATED')) throw error;
  }
}

/**
 * Sends requests, most of them spoilt, over fresh connections, and after each asks a client of good manners, which must
 * be answered. `topic` has one partition. Each tenth connection begins with a good Produce that must be acknowledged, so
 * that the log is reached whatever chance brings.
 */
export async function fuzzDoor(random: Random, port: number, topic: string, rounds: number): Promise<void> {
  const witness = await RawClient.connect(port);
  const { topics } = await witness.ask(metadata, 12, { topics: [{ name: topic }], allowAutoTopicCreation: false });
  const target = { name: topic, topicId: topics[0]!.topicId };
  for (let round = 0; round < rounds; round++) {
    const client = await RawClient.connect(port);
    if (round % 10 === 0) {
      const { errorCode } = await produceOne(client, topic, oneRecord(random));
      if (errorCode !== 0) throw new Error(`round ${round}: a good Produce is answered with ${errorCode}`);
    }
    for (let count = 1 + random.below(4); count > 0; count--) client.write(anyFrame(random, target));
    client.socket.end();
    // Some leave at once, without a look at their answers.
    if (random.below(3) === 0) client.end();
    else await client.closed();
    const answer = await witness.ask(metadata, 9, { topics: null });
    if (answer.controllerId !== 1) throw new Error(`round ${round}: the witness is answered wrongly`);
  }
  witness.end();
}

interface Target {
  name: string;
  topicId: Buffer;
}

/** A request in its frame: spoilt behind the size, spoilt with the size, or good. None deletes the topic. */
function anyFrame(random: Random, target: Target): Buffer {
  const good = goodRequest(random, target);
  const frame = spoiltOrGood(random, good);
  // Chance may make a good DeleteTopics of a request that names it, and it would be obeyed.
  const isDeletion = frame.length >= 6 && frame.readInt16BE(4) === deleteTopics.key && frame.includes(target.name);
  return isDeletion ? good : frame;
}

function spoiltOrGood(random: Random, good: Buffer): Buffer {
  switch (random.below(4)) {
    case 0:
      return good;
    case 1:
      return spoil(random, good);
    default: {
      const body = spoil(random, good.subarray(4));
      const size = Buffer.alloc(4);
      size.writeInt32BE(body.length);
      return Buffer.concat([size, body]);
    }
  }
}

function oneRecord(random: Random): Buffer {
  return encodeBatch([{ timestampMs: 1, key: null, value: random.bytes(20) }]);
}

function goodRequest(random: Random, { name, topicId }: Target): Buffer {
  const of = <A extends Api>(api: A, message: RequestDraft<A>): Buffer => {
    const version = api.versions.min + random.below(api.versions.max - api.versions.min + 1);
    return Buffer.concat(encodeRequest(api, version, { correlationId: random.below(1000), clientId: 'f' }, message));
  };
  const records = oneRecord(random);
  const partition = { partition: 0, fetchOffset: random.below(5), partitionMaxBytes: 1000 };
  const requests: (() => Buffer)[] = [
    () =>
      of(produce, {
        acks: random.below(3) - 1,
        timeoutMs: 1000,
        topicData: [{ name, topicId, partitionData: [{ index: 0, records }] }],
      }),
    () =>
      of(fetch, {
        maxWaitMs: random.below(10),
        minBytes: 1,
        topics: [{ topic: name, topicId, partitions: [partition] }],
      }),
    () =>
      of(listOffsets, {
        topics: [{ name, partitions: [{ partitionIndex: 0, timestamp: random.pick([-3, -2, -1, 0, 5]) }] }],
      }),
    () => of(metadata, { topics: [{ name }], allowAutoTopicCreation: true }),
    () => of(findCoordinator, { key: 'g', coordinatorKeys: ['g'] }),
    () => of(apiVersions, { clientSoftwareName: 'fuzz', clientSoftwareVersion: '1' }),
    () => of(createTopics, { topics: [{ name: `n${random.below(5)}`, numPartitions: 1, replicationFactor: 1 }] }),
    () => of(deleteTopics, { topicNames: [`n${random.below(5)}`], topics: [{ name: `n${random.below(5)}` }] }),
    () => of(deleteRecords, { topics: [{ name, partitions: [{ partitionIndex: 0, offset: 0 }] }] }),
    () => of(initProducerId, {}),
    () => of(describeConfigs, { resources: [{ resourceType: 2, resourceName: name }] }),
    () => of(describeCluster, {}),
    () => of(listConfigResources, {}),
    () => of(describeTopicPartitions, { topics: [{ name }], cursor: { topicName: name, partitionIndex: 0 } }),
    () => of(describeClientQuotas, { components: [], strict: true }),
    () => of(describeUserScramCredentials, { users: [{ name }] }),
    () => of(saslHandshake, { mechanism: 'PLAIN' }),
    ...groupRequests(random, name, of),
    () => of(describeProducers, { topics: [{ name, partitionIndexes: [0] }] }),
  ];
  return random.pick(requests)();
}

/** Groups of few names, so that they meet one another. */
function groupRequests(
  random: Random,
  name: string,
  of: <A extends Api>(api: A, message: RequestDraft<A>) => Buffer,
): (() => Buffer)[] {
  const groupId = `g${random.below(4)}`;
  const groupInstanceId = random.pick([null, null, 'i0']);
  const memberId = random.pick(['', 'stranger']);
  const generationId = random.below(3) - 1;
  const names = { protocolType: 'consumer', protocolName: 'range' };
  const speaker = { groupId, memberId, groupInstanceId, generationId };
  const timeouts = { sessionTimeoutMs: 6000, rebalanceTimeoutMs: random.below(2000) };
  const protocols = [{ name: 'range', metadata: random.bytes(20) }];
  const partitions = [{ partitionIndex: random.below(2), committedOffset: random.below(100) }];
  return [
    () => of(joinGroup, { ...speaker, ...timeouts, protocolType: 'consumer', protocols }),
    () => of(syncGroup, { ...speaker, ...names, assignments: [{ memberId, assignment: random.bytes(9) }] }),
    () => of(heartbeat, speaker),
    () => of(leaveGroup, { groupId, memberId, members: [{ memberId, groupInstanceId }] }),
    () => of(offsetCommit, { groupId, topics: [{ name, partitions }] }),
    () => of(offsetFetch, { groupId, topics: [{ name, partitionIndexes: [0] }], groups: [{ groupId, topics: null }] }),
    () => of(describeGroups, { groups: [groupId] }),
    () => of(listGroups, {}),
    () => of(deleteGroups, { groupsNames: [groupId] }),
    () => of(offsetDelete, { groupId, topics: [{ name, partitions: [{ partitionIndex: 0 }] }] }),
    () => of(offsetForLeaderEpoch, { topics: [{ topic: name, partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
  ];
}
