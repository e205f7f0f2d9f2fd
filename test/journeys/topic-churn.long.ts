// Test suites of a site make topics, use them and delete them, all day long: a thousand topics of four partitions, with
// producers, groups and offsets of their own, leave nothing in memory, in the metrics, on the card or at the next start.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { offsetCommit } from '../../src/formats/kafka/08-offset-commit.ts';
import { createTopics } from '../../src/formats/kafka/19-create-topics.ts';
import { deleteTopics } from '../../src/formats/kafka/20-delete-topics.ts';
import { initProducerId } from '../../src/formats/kafka/22-init-producer-id.ts';
import type { GroupsStatus } from '../../src/groups/groups.ts';
import { openLog } from '../../src/log/log.ts';
import { openStore } from '../../src/store/store.ts';
import { systemClock } from '../../src/clock.ts';
import { batchOf, produceOne } from '../kafka/open-door.ts';
import { RawClient } from '../kafka/raw-client.ts';
import { silent } from '../log/open-log.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { until } from '../parts/until.ts';

const TOPICS = 1000;
const WARM = 200;
const PARTITIONS = 4;
const AT_ONCE = 20;
/**
 * What LevelDB gathers in memory of the segment and the tables that are written, and half a KiB a topic that the segment knows
 * of its partitions until it is full: with four times as many topics it is the same.
 */
const GROWTH_MIB_MAX = 24;

interface Footprint {
  rssMib: number;
  metricLines: number;
  topics: number;
  startMs: number;
}

test(`${TOPICS} topics of ${PARTITIONS} partitions, made, used and deleted, leave no trace`, async () => {
  // As the unit starts it, and with a bound for what is garbage: V8 lets some 40 MiB lie about before it looks.
  const env = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '524288', NODE_OPTIONS: '--max-old-space-size=48' };
  const appliance = await createAppliance({ mqtt: { listen: 'off' }, commit: { interval: '20ms' } }, env);
  onTestFinished(() => appliance.remove());
  await appliance.start();
  await churn(appliance, 'warm', WARM);
  const before = await footprint(appliance);
  await churn(appliance, 'test', TOPICS);
  const after = await footprint(appliance);
  await appliance.terminate();
  const folder = join(appliance.folder, 'data');
  const left = await marksIn(folder);
  console.log(before, after, `${sizeOf(folder)} bytes`, left.counts);
  expect(after.rssMib - before.rssMib).toBeLessThan(GROWTH_MIB_MAX);
  expect(after.metricLines).toBeLessThanOrEqual(before.metricLines + 5);
  expect([before.topics, after.topics]).toEqual([0, 0]);
  expect(left.ofTopics).toEqual([]);
  expect(after.startMs).toBeLessThan(3 * before.startMs + 1000);
});

async function churn(appliance: Appliance, prefix: string, count: number): Promise<void> {
  const port = Number(appliance.kafka.split(':')[1]);
  const clients = await Promise.all(Array.from({ length: AT_ONCE }, () => RawClient.connect(port)));
  for (let from = 0; from < count; from += AT_ONCE) {
    await Promise.all(clients.map((client, at) => useOne(client, `${prefix}-${from + at}`)));
  }
  for (const client of clients) client.end();
}

async function useOne(client: RawClient, name: string): Promise<void> {
  const topics = [{ name, numPartitions: PARTITIONS, replicationFactor: 1 }];
  const made = await client.ask(createTopics, 5, { topics });
  expect(made.topics[0]).toMatchObject({ errorCode: 0 });
  const { producerId, producerEpoch } = await client.ask(initProducerId, 4, {});
  const partitions = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const batch = batchOf(['a', 'b'], { producerId, producerEpoch, baseSequence: 0 }, Date.now());
    expect(await produceOne(client, name, batch, { partition })).toMatchObject({ errorCode: 0, baseOffset: 0 });
    partitions.push({ partitionIndex: partition, committedOffset: 2 });
  }
  const committed = await client.ask(offsetCommit, 7, { groupId: `group-${name}`, topics: [{ name, partitions }] });
  expect(committed.topics[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0, 0]);
  const gone = await client.ask(deleteTopics, 3, { topicNames: [name] });
  expect(gone.responses[0]).toMatchObject({ errorCode: 0 });
}

/** After a restart, too: the best of three, since the machine has other things to do. */
async function footprint(appliance: Appliance): Promise<Footprint> {
  const groups = async (): Promise<GroupsStatus> => (await appliance.status()).rooms['groups'] as GroupsStatus;
  // Offsets of a topic that is gone are removed with the next commit.
  await until('no group is left', async () => (await groups()).groups === 0);
  const { pid } = await appliance.status();
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  const metrics = await (await fetch(`${appliance.http}/metrics`)).text();
  const topics = (await (await fetch(`${appliance.http}/topics`)).json()) as unknown[];
  let startMs = Infinity;
  for (let count = 0; count < 3; count++) {
    await appliance.terminate();
    const begunMs = performance.now();
    await appliance.start();
    startMs = Math.min(startMs, Math.round(performance.now() - begunMs));
  }
  return {
    rssMib: Math.round(kib / 1024),
    metricLines: metrics.split('\n').length,
    topics: topics.length,
    startMs,
  };
}

/** Small keys that lie beside the records of a node that does not run, by their kind. */
async function marksIn(folder: string): Promise<{ counts: Record<string, number>; ofTopics: string[] }> {
  const store = await openStore({ folder, clock: systemClock, trace: silent, writeBufferBytes: 1 << 20 });
  const log = await openLog({
    store,
    clock: systemClock,
    trace: silent,
    commitIntervalMs: 20,
    commitBurstMs: 0,
    topics: new Map(),
    budgetBytes: 1e9,
  });
  const keys = [...log.marks('')].map(([key]) => key);
  await log.close();
  await store.close();
  const counts: Record<string, number> = {};
  for (const key of keys) counts[key.split('/')[0]!] = (counts[key.split('/')[0]!] ?? 0) + 1;
  return { counts, ofTopics: keys.filter((key) => /^(offset|group)\//.test(key)) };
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .reduce((sum, each) => sum + statSync(join(each.parentPath, each.name)).size, 0);
}
