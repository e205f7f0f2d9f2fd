// MirrorMaker 2 between headwater and an Apache Kafka, in both directions at once: records with keys and headers, partition
// by partition, and the offsets of groups, so that a consumer goes on at the other end.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { kcat, readTopic } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';
import { openJavaProcess, type JavaProcess } from './java-process.ts';
import { javaTool } from './java-tool.ts';
import { openNode, type Node } from './open-node.ts';

const COUNT = 400;
const MINUTES_3 = 180_000;
const sides = ['edge', 'center'] as const;
type Side = (typeof sides)[number];

let node: Node;
let kafka: Kafka;
let maker: JavaProcess;
let at: Record<Side, string>;

beforeAll(async () => {
  node = await openNode();
  kafka = await startKafka();
  at = { edge: node.bootstrap, center: kafka.bootstrap };
  for (const side of sides) await fill(side);
  maker = await openJavaProcess('org.apache.kafka.connect.mirror.MirrorMaker', {
    clusters: 'edge, center',
    'edge.bootstrap.servers': node.bootstrap,
    'center.bootstrap.servers': kafka.bootstrap,
    'edge->center.enabled': 'true',
    'edge->center.topics': 'from-edge',
    'center->edge.enabled': 'true',
    'center->edge.topics': 'from-center',
    'plugin.discovery': 'service_load',
    'replication.factor': '-1',
    'checkpoints.topic.replication.factor': '-1',
    'heartbeats.topic.replication.factor': '-1',
    'offset-syncs.topic.replication.factor': '-1',
    'offset.storage.replication.factor': '-1',
    'status.storage.replication.factor': '-1',
    'config.storage.replication.factor': '-1',
    'sync.group.offsets.enabled': 'true',
    'sync.group.offsets.interval.seconds': '1',
    'emit.checkpoints.interval.seconds': '1',
    'refresh.topics.interval.seconds': '1',
    'refresh.groups.interval.seconds': '1',
    'offset.lag.max': '0',
    'offset.flush.interval.ms': '1000',
  });
  maker.start();
});
afterAll(async () => {
  await maker?.remove();
  await kafka?.stop();
  await node?.close();
});

/** A topic with records, of which a group has read all there were at first. */
async function fill(side: Side): Promise<void> {
  const topic = `from-${side}`;
  await javaTool(at[side], 'TopicCommand', ['--create', '--topic', topic, '--partitions', '2']);
  await write(side, 0);
}

async function write(side: Side, from: number): Promise<void> {
  const lines = Array.from({ length: COUNT }, (_, index) => `key-${index % 7}|${side} ${from + index}`);
  const args = ['-P', '-t', `from-${side}`, '-K', '|', '-H', `side=${side}`, '-X', 'partitioner=murmur2'];
  await kcat(['-b', at[side], ...args], `${lines.join('\n')}\n`);
}

/** Reads to the end as a member of the group, and commits. */
async function read(bootstrap: string, topic: string): Promise<string[]> {
  const how = ['-X', 'auto.offset.reset=earliest', '-X', 'session.timeout.ms=6000', '-e', '-q', '-f', '%s\\n'];
  const out = await kcat(['-b', bootstrap, '-G', 'readers', ...how, topic]);
  return String(out)
    .split('\n')
    .filter((line) => line !== '');
}

/** What the group has committed in each partition. */
async function committed(bootstrap: string, topic: string): Promise<number[]> {
  const about = ['--describe', '--group', 'readers', '--offsets'];
  const said = await javaTool(bootstrap, 'consumer.group.ConsumerGroupCommand', about).catch(() => '');
  const rows = said.split('\n').filter((line) => line.includes(` ${topic} `));
  return rows.map((line) => Number(line.trim().split(/\s+/)[3]));
}

test.for([
  ['edge', 'center'],
  ['center', 'edge'],
] as const)('%s -> %s: records as they were, and a group goes on there', { timeout: 600_000 }, async ([from, to]) => {
  const [topic, copied] = [`from-${from}`, `${from}.from-${from}`];
  const tell = (): string => `${maker.output()}\n${node.lines.slice(-10).join('\n')}`;
  const told = async (bootstrap: string, name: string): Promise<string[]> =>
    (await readTopic(bootstrap, name)).map(
      ({ partition, timestampMs, key, value }) => `${partition} ${timestampMs} ${String(key)} ${String(value)}`,
    );
  const arrived = (count: number): Promise<void> =>
    until(
      `${count} records are at ${to}`,
      async () => (await told(at[to], copied).catch(() => [])).length >= count,
      MINUTES_3,
      tell,
    );
  await arrived(COUNT);
  expect(await read(at[from], topic)).toHaveLength(COUNT);
  await write(from, COUNT);
  await arrived(2 * COUNT);
  expect(await told(at[to], copied)).toEqual(await told(at[from], topic));
  // MirrorMaker remembers few pairs of offsets, so a group goes on where it was or somewhat before, and never behind it.
  const isThere = async (): Promise<boolean> => {
    const [own, there] = [await committed(at[from], topic), await committed(at[to], copied)];
    return there.length === 2 && there.every((offset, partition) => offset > 0 && offset <= own[partition]!);
  };
  await until('the group is there', isThere, MINUTES_3, tell);
  const rest = await read(at[to], copied);
  const later = Array.from({ length: COUNT }, (_, index) => `${from} ${COUNT + index}`);
  expect(later.filter((value) => !rest.includes(value))).toEqual([]);
  expect(rest.length).toBeLessThan(2 * COUNT);
});
