// What the card has lost, told to whoever asks: the command line, the status, and every upstream.

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { run } from '../cli/run-cli.ts';
import { until } from '../parts/until.ts';
import { openNode, readPartition, type Node } from './open-node.ts';

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0).toReversed()) await node.remove();
});

async function open(tree: Record<string, unknown> = {}): Promise<Node> {
  const node = await openNode(tree);
  nodes.push(node);
  return node;
}

test('a gap is listed, shown, and told upstream by a mirror of other topics; new records arrive behind it', async () => {
  const upstream = await open();
  const mirror = { name: 'dc', bootstrap: [upstream.kafka], topics: ['mqtt'] };
  const edge = await open({ mirror: [mirror] });
  const client = await edge.mqtt();
  for (let number = 0; number < 5; number += 1) await client.publishAsync('s/a', String(number), { qos: 1 });
  await edge.mirrored();
  await client.endAsync();
  await edge.stop();
  const segment = join(edge.folder, 'segments', '00000001');
  for (const name of await readdir(segment)) if (name.endsWith('.log')) await rm(join(segment, name));
  await edge.open();

  const listed = await run(['gaps', '--url', edge.http, '-o', 'json']);
  expect(listed.code).toBe(0);
  const { gaps } = JSON.parse(listed.out) as { gaps: { topic: string; firstOffset: number; lastOffset: number }[] };
  expect(gaps).toMatchObject([{ topic: 'mqtt', partition: 0, firstOffset: 0 }]);
  expect((await run(['gaps', '--url', edge.http])).out).toMatch(/mqtt +0 +0 .*its write-ahead log is missing/);
  expect((await run(['status', '--url', edge.http])).out).toContain(
    '! the card has lost up to 1048576 records in 1 ranges',
  );
  expect(await (await fetch(`${edge.http}/metrics`)).text()).toContain('headwater_log_gaps 1\n');

  const again = await edge.mqtt();
  await again.publishAsync('s/a', 'new', { qos: 1 });
  await edge.mirrored();
  const values = (await readPartition(upstream.kafka, 'edge.mqtt', 0)).map(({ value }) => value);
  expect(values).toEqual(['0', '1', '2', '3', '4', 'new']);
  const told = await readPartition(upstream.kafka, 'edge.headwater.gaps', 0);
  expect(told.map(({ key, value }) => [key, (JSON.parse(value!) as { lastOffset: number }).lastOffset])).toEqual([
    ['mqtt/0', gaps[0]!.lastOffset],
  ]);
  expect(edge.mirror().lost).toEqual({ gapRecords: expect.any(Number) as number, upstreamRecords: 0 });
  await until('everything to be sent', () => edge.mirror().backlog.records === 0);
});
