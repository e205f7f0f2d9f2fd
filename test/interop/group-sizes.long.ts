// How groups behave in numbers: a rebalance of 50 members of kafkajs, and what a thousand groups of five members cost a
// whole headwater in memory. Both are printed.

import { readFileSync } from 'node:fs';
import kafkajs from 'kafkajs';
import { expect, onTestFinished, test } from 'vitest';
import { joinGroup } from '../../src/formats/kafka/11-join-group.ts';
import { offsetCommit } from '../../src/formats/kafka/08-offset-commit.ts';
import { consumerGroupHeartbeat } from '../../src/formats/kafka/68-consumer-group-heartbeat.ts';
import type { RequestDraft } from '../../src/formats/kafka/schema.ts';
import { syncGroup } from '../../src/formats/kafka/14-sync-group.ts';
import type { GroupsStatus } from '../../src/groups/groups.ts';
import { RawClient } from '../kafka/raw-client.ts';
import { createAppliance } from '../parts/appliance.ts';
import { freePort } from '../parts/kafka.ts';
import { until } from '../parts/until.ts';
import { openNode } from './open-node.ts';

const MEMBERS = 50;
/** Ends what hangs; the goal is two seconds, on a machine that has nothing else to do. */
const REBALANCE_MS_MAX = 20_000;

test(`${MEMBERS} members of kafkajs rebalance soon, when one goes and when one comes`, async () => {
  const node = await openNode();
  onTestFinished(() => node.close());
  await node.log.createTopic('t', { partitions: 2 * MEMBERS });
  const { kafka, joins } = countingClient(node.bootstrap);
  const start = async () => {
    const consumer = kafka.consumer({ groupId: 'g', heartbeatInterval: 250, maxWaitTimeInMs: 200 });
    await consumer.connect();
    await consumer.subscribe({ topic: 't' });
    consumer.on('consumer.group_join', () => (joins.count += 1));
    await consumer.run({ eachMessage: async () => undefined });
    return consumer;
  };
  const consumers = await Promise.all(Array.from({ length: MEMBERS }, start));
  const isSettled = (members: number): boolean => {
    const { state, members: found } = node.groups.describe('g')!;
    return state === 'Stable' && found.length === members && found.every(({ assignment }) => assignment.length > 0);
  };
  await until('all have their share', () => isSettled(MEMBERS));
  const timed = async (what: string, act: () => Promise<unknown>, members: number): Promise<number> => {
    joins.count = 0;
    const startMs = performance.now();
    await act();
    await until('all have their share', () => isSettled(members) && joins.count >= members);
    const tookMs = Math.round(performance.now() - startMs);
    console.log(`${what}: ${members} members have their new share after ${tookMs} ms`);
    return tookMs;
  };
  const took = [await timed('one goes', () => consumers.pop()!.disconnect(), MEMBERS - 1)];
  took.push(await timed('one comes', async () => consumers.push(await start()), MEMBERS));
  for (const ms of took) expect(ms).toBeLessThan(REBALANCE_MS_MAX);
  await Promise.all(consumers.map((consumer) => consumer.disconnect()));
});

function countingClient(bootstrap: string) {
  const kafka = new kafkajs.Kafka({ brokers: [bootstrap], clientId: 'js', logLevel: kafkajs.logLevel.NOTHING });
  return { kafka, joins: { count: 0 } };
}

const GROUPS = 1000;
const EACH = 5;
const LINES = 40;
const RSS_MIB_MAX = 40;

/** What members of Java and librdkafka give: one topic, and what they had. */
const METADATA = Buffer.alloc(120, 1);
const ASSIGNMENT = Buffer.alloc(80, 2);

test.for([
  ['classic', settle],
  ['consumer', settleIncremental],
] as const)(`${GROUPS} groups of ${EACH} members of the protocol %s cost little memory`, async ([protocol, act]) => {
  const port = await freePort();
  const config = {
    mqtt: { listen: 'off' },
    kafka: {
      listen: `127.0.0.1:${port}`,
      clients: 1000,
      'group.initial.rebalance.delay.ms': 300,
      'group.max.session.timeout.ms': 3_600_000,
      'group.consumer.session.timeout.ms': 3_600_000,
    },
    topics: { t: { partitions: EACH } },
  };
  // As the unit starts it, and with a bound for what is garbage: V8 lets some 40 MiB lie about before it looks.
  const env = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '524288', NODE_OPTIONS: '--max-old-space-size=48' };
  const appliance = await createAppliance(config, env);
  onTestFinished(() => appliance.remove());
  await appliance.start();
  const lines = await Promise.all(
    Array.from({ length: LINES }, () => Promise.all(Array.from({ length: EACH }, () => RawClient.connect(port)))),
  );
  onTestFinished(() => lines.flat().forEach((client) => client.end()));
  await act(lines[0]!, 'warm');
  const before = residentMib(await pidOf(appliance));
  await Promise.all(
    lines.map(async (clients, line) => {
      for (let number = line; number < GROUPS; number += LINES) await act(clients, `group-${number}`);
    }),
  );
  const status = (await appliance.status()).rooms['groups'] as GroupsStatus;
  expect(status).toMatchObject({ members: (GROUPS + 1) * EACH, states: { Stable: GROUPS + 1 } });
  const after = residentMib(await pidOf(appliance));
  const { memberBytes, offsetBytes } = status;
  console.log(
    `${GROUPS} groups (${protocol}), ${GROUPS * EACH} members: RSS ${before} -> ${after} MiB; ${memberBytes} bytes of members, ${offsetBytes} of offsets`,
  );
  expect(after - before).toBeLessThan(RSS_MIB_MAX);
});

/** All join, have one partition each when all have let go, and commit an offset of it. */
async function settleIncremental(clients: RawClient[], groupId: string): Promise<void> {
  const beats = clients.map((client, index) => {
    let epoch = 0;
    let owned: NonNullable<BeatRequest['topicPartitions']> = [];
    return async (): Promise<number> => {
      const first = epoch === 0 ? { rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'] } : {};
      const memberId = `0123456789abcdef-${index}`;
      const request: BeatRequest = { groupId, memberId, memberEpoch: epoch, topicPartitions: owned, ...first };
      const { errorCode, memberEpoch, assignment } = await client.ask(consumerGroupHeartbeat, 1, request);
      if (errorCode !== 0) throw new Error(`a heartbeat of ${groupId} is answered with ${errorCode}`);
      epoch = memberEpoch;
      if (assignment !== null) owned = assignment.topicPartitions;
      return owned.reduce((sum, { partitions }) => sum + partitions.length, 0);
    };
  });
  for (const beat of beats) await beat();
  for (let sizes: number[] = []; sizes.length === 0 || sizes.some((size) => size !== 1);) {
    sizes = await Promise.all(beats.map((beat) => beat()));
  }
  // With the last one all are of the same epoch.
  await Promise.all(beats.map((beat) => beat()));
  await clients[0]!.ask(offsetCommit, 7, commitOf(groupId, '0123456789abcdef-0', clients.length, 0));
}

type BeatRequest = RequestDraft<typeof consumerGroupHeartbeat>;

function commitOf(groupId: string, memberId: string, generation: number, partitionIndex: number) {
  const topics = [{ name: 't', partitions: [{ partitionIndex, committedOffset: 0 }] }];
  return { groupId, memberId, generationIdOrMemberEpoch: generation, topics };
}

/** All join, the first one assigns, and each commits the offset of its partition. */
async function settle(clients: RawClient[], groupId: string): Promise<void> {
  const join = {
    groupId,
    memberId: '',
    sessionTimeoutMs: 3_600_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [{ name: 'cooperative-sticky', metadata: METADATA }],
  };
  const joined = await Promise.all(clients.map((client) => client.ask(joinGroup, 3, join)));
  const { generationId, leader } = joined[0]!;
  const all = joined.map(({ memberId }) => ({ memberId, assignment: ASSIGNMENT }));
  await Promise.all(
    joined.map(async ({ memberId, errorCode }, index) => {
      if (errorCode !== 0) throw new Error(`a join of ${groupId} is answered with ${errorCode}`);
      const assignments = memberId === leader ? all : [];
      await clients[index]!.ask(syncGroup, 3, { groupId, generationId, memberId, assignments });
      await clients[index]!.ask(offsetCommit, 7, commitOf(groupId, memberId, generationId, index));
    }),
  );
}

async function pidOf(appliance: { status(): Promise<{ pid: number }> }): Promise<number> {
  return (await appliance.status()).pid;
}

function residentMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
  return Math.round(Number(kib) / 1024);
}
