// A node that starts in 1970: what comes in before the network does, over MQTT and HTTP, has its right time once the clock
// is set, for Kafka clients on the site and in the datacenter.

import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { decodeRecords, splitBatches, unsureBootIn } from '../../src/formats/batch.ts';
import { CLOCK_HEADER } from '../../src/formats/clock-header.ts';
import { NO_EVIDENCE } from '../../src/times/judge.ts';
import type { Machine } from '../../src/times/times.ts';
import { until } from '../parts/until.ts';
import { openNode, readPartition, statusOf, type Node, type Read } from './open-node.ts';

const BUILT = Date.UTC(2026, 0, 1);

const open: Node[] = [];
afterEach(async () => {
  for (const node of open.splice(0).toReversed()) await node.remove();
});

/** A node on a machine whose wall clock is off by what `set` was given last; `lostPower` makes the next start another boot. */
async function openIn1970(tree: Record<string, unknown>) {
  let offMs = -Date.now();
  const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + offMs };
  const bootAtMs = systemClock.monotonicMs();
  const machine: Machine = {
    bootId: 'first-boot',
    upMs: () => systemClock.monotonicMs() - bootAtMs,
    builtMs: BUILT,
    ask: async () => NO_EVIDENCE,
    hasNews: async () => false,
    lookMs: 20,
  };
  const node = await openNode(tree, { clock, machine });
  open.push(node);
  return { node, set: (ms: number) => (offMs = ms) };
}

async function post(node: Node, topic: string, records: object[]): Promise<void> {
  const answer = await fetch(`${node.http}/topics/${topic}/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(records),
  });
  expect(answer.status).toBe(200);
}

function near(ms: number, { timestampMs }: Read): boolean {
  return Math.abs(timestampMs - ms) < 20_000;
}

test('records of 1970 are put right here and upstream, and what clients dated stays', async () => {
  const center = await openNode({ node: { name: 'center' } });
  open.push(center);
  const edge = await openIn1970({ mirror: [{ name: 'dc', bootstrap: [center.kafka] }] });
  const { node } = edge;
  const publisher = await node.mqtt();
  await publisher.publishAsync('plant/one', 'a', { qos: 1 });
  const own = Date.UTC(2026, 4, 1);
  await post(node, 'mqtt', [{ value: 'b' }, { value: 'c', timestamp: own }, { value: 'd' }]);

  const before = await readPartition(node.kafka, 'mqtt');
  expect(before.map(({ value }) => value)).toEqual(['a', 'b', 'c', 'd']);
  expect(before.map((record) => near(BUILT, record))).toEqual([true, true, false, true]);
  const { boot, stampMs } = JSON.parse(before[0]!.headers[CLOCK_HEADER]!) as { boot: string; stampMs: number };
  expect([boot, stampMs]).toEqual(['first-boot', before[0]!.timestampMs]);
  expect(before[2]!.headers).toEqual({});
  expect((await statusOf(node)).clock).toMatchObject({ state: 'unsure', unsureRecords: 3, unknownBoots: 1 });
  const metrics = await (await fetch(`${node.http}/metrics`)).text();
  expect(metrics).toContain('headwater_clock_state{state="unsure"} 1');
  expect(metrics).toContain('headwater_clock_unsure_records_total 3');
  await until('the mirror holds them back', () => node.mirror().partitions[0]?.state === 'held');

  // The process is started again before the network comes.
  await node.stop();
  await node.open();
  await publisher.publishAsync('plant/one', 'e', { qos: 1 });
  expect(node.mirror().backlog.records).toBe(5);
  edge.set(0);
  await until('the time is known', () => node.headwater.status().clock.state === 'plausible');
  await publisher.publishAsync('plant/one', 'f', { qos: 1 });

  const after = await readPartition(node.kafka, 'mqtt');
  expect(after.map(({ value }) => value)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  const nowMs = Date.now();
  expect(after.map((record) => near(nowMs, record))).toEqual([true, true, false, true, true, true]);
  expect(after[2]!.timestampMs).toBe(own);
  expect(JSON.parse(after[0]!.headers[CLOCK_HEADER]!)).toMatchObject({ stampMs });
  // What `log dump` and `log export` read.
  const stored = await fetch(`${node.http}/topics/mqtt/partitions/0/batches?offset=0`);
  const batches = splitBatches(Buffer.from(await stored.arrayBuffer()));
  expect(batches.map(unsureBootIn)).toEqual(batches.map(() => undefined));
  expect(batches.flatMap((batch) => decodeRecords(batch).map(({ timestampMs }) => timestampMs))).toEqual(
    after.map(({ timestampMs }) => timestampMs),
  );
  await node.mirrored();
  expect(await readPartition(center.kafka, 'edge.mqtt')).toEqual(after);
  expect(node.lines.join('\n')).toContain('the times of this boot are known');
});

test('what is not put right within the hold is sent as it is', async () => {
  const center = await openNode({ node: { name: 'center' } });
  open.push(center);
  const { node } = await openIn1970({
    clock: { hold: '1s' },
    mirror: [{ name: 'dc', bootstrap: [center.kafka] }],
  });
  const publisher = await node.mqtt();
  await publisher.publishAsync('plant/one', 'a', { qos: 1 });
  await node.mirrored();
  const [record] = await readPartition(center.kafka, 'edge.mqtt');
  expect(near(BUILT, record!)).toBe(true);
  expect(JSON.parse(record!.headers[CLOCK_HEADER]!)).toMatchObject({ stampMs: record!.timestampMs });
});
