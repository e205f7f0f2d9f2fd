// What kcat does besides the cells of the matrix (matrix.long.ts): it lists the cluster, finds offsets, and follows a topic.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { kcat, readTopic } from '../parts/kcat.ts';
import { openNode, readings, type Node } from './open-node.ts';

const COUNT = 2000;

let node: Node;
beforeAll(async () => {
  node = await openNode();
});
afterAll(async () => {
  const { malformed } = node.kafka.status();
  await node.close();
  expect(malformed, node.lines.join('\n')).toBe(0);
});

const lines = readings(COUNT).map(({ key, value }) => `${key}|${value}`);

function write(topic: string, more: string[] = []): Promise<Buffer> {
  return kcat(['-b', node.bootstrap, '-P', '-t', topic, '-K', '|', ...more], `${lines.join('\n')}\n`);
}

test('it lists the cluster and finds offsets by time', async () => {
  await write('listed');
  const listing = String(await kcat(['-b', node.bootstrap, '-L', '-t', 'listed']));
  expect(listing).toContain(`broker 1 at 127.0.0.1:${node.port}`);
  expect(listing).toContain('partition 0, leader 1, replicas: 1, isrs: 1');
  const [first] = await readTopic(node.bootstrap, 'listed');
  const query = ['-b', node.bootstrap, '-Q', '-t', `listed:0:${first!.timestampMs}`];
  expect(String(await kcat(query))).toContain('listed [0] offset 0');
});

test('it follows a topic: what is written while it waits, it reads', async () => {
  await node.log.createTopic('followed');
  const from = ['-b', node.bootstrap, '-C', '-t', 'followed', '-o', 'beginning'];
  const reading = kcat([...from, '-c', String(COUNT), '-q', '-u', '-f', '%k|%s\\n']);
  await write('followed', ['-X', 'queue.buffering.max.messages=100']);
  expect(String(await reading)).toBe(`${lines.join('\n')}\n`);
});
