// What a node costs as it grows: by the bytes that it keeps, and by its partitions. Each node is filled, killed in the
// middle of its work, started, put under steady load, and read at random offsets.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, listOffsets } from '../../src/formats/kafka/02-list-offsets.ts';
import { RawClient } from '../../test/kafka/raw-client.ts';
import { cpuSecondsOf, memoryOf } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater, type HeadwaterOptions } from '../servers.ts';
import type { LoadResult, Stand } from '../stand.ts';

const RATE = 8_000;
const TOPIC = 'readings';
const FETCH_BYTES = 16 * 1024;
const LINES = 10;

interface Size {
  bytes: number;
  partitions: number;
}

interface Grown extends Size {
  segments: number;
  startMs: number;
  restMib: number;
  loadMib: number;
  cpuSeconds: number;
  load: LoadResult;
  fetchMs: number[];
}

export async function measureGrowth(stand: Stand): Promise<Section> {
  const [small, large] = stand.isQuick ? [20e6, [200e6]] : [100e6, [10e9, 40e9]];
  const byBytes = [small, ...large].map((bytes) => ({ bytes, partitions: 4 }));
  const byPartitions = (stand.isQuick ? [1, 100] : [1, 100, 1_000, 4_000]).map((partitions) => {
    return { bytes: small, partitions };
  });
  const grown: Grown[] = [];
  for (const size of [...byBytes, ...byPartitions]) grown.push(await grow(stand, size));
  const head = [
    'kept, partitions',
    'segments',
    'start after kill -9, s',
    'RSS at rest, MiB',
    'under load',
    'CPU us/record',
    'acknowledged p50 ms',
    'p99',
    'worst',
    'fetch p50 ms',
    'p99',
  ];
  const seconds = stand.isQuick ? 5 : 20;
  const how =
    `Filled at full speed in packets of random bytes, then at ${RATE} JSON readings a second for ${seconds} s, burst used up; ` +
    `a fetch is of ${FETCH_BYTES / 1024} KiB at a random offset of a random partition, on an open connection.`;
  return { name: 'growth', lines: [how, '', ...table(head, grown.map(cellsOf))] };
}

async function grow(stand: Stand, size: Size): Promise<Grown> {
  const { bytes, partitions } = size;
  const name = `${nameOf(bytes)}, ${partitions}`;
  const dir = stand.makeFolder(`growth-${bytes}-${partitions}`);
  const options: HeadwaterOptions = { dir, partitions, burst: '0ms', budget: '60GiB', kafka: true };
  const machines = Math.ceil((4 * partitions) / LINES);

  stand.progress(`growth: filling ${name}`);
  const filled = await startHeadwater(stand, options);
  const packet = bytes / partitions < 16e6 ? 1_000 : 16_000;
  await stand.load({ port: filled.port, payload: 'random', size: packet, window: 20, count: bytes / packet, machines });
  const busy = stand
    .load({ port: filled.port, payload: 'json', rate: RATE, seconds: 4, machines })
    .catch(() => undefined);
  await sleep(2_000);
  process.kill(filled.pid, 'SIGKILL');
  await busy;

  stand.progress(`growth: starting ${name}`);
  const startedMs = performance.now();
  const headwater = await startHeadwater(stand, options);
  const startMs = performance.now() - startedMs;
  await sleep(stand.isQuick ? 1_000 : 6_000);
  const restMib = memoryOf(headwater.pid).rssMib;

  stand.progress(`growth: load on ${name}`);
  const cpuBefore = cpuSecondsOf(headwater.pid);
  const seconds = stand.isQuick ? 5 : 20;
  const load = await stand.load({ port: headwater.port, payload: 'json', rate: RATE, seconds, machines });
  const cpuSeconds = cpuSecondsOf(headwater.pid) - cpuBefore;
  const loadMib = memoryOf(headwater.pid).rssMib;

  stand.progress(`growth: reading ${name}`);
  const fetchMs = await fetchAtRandom(headwater.kafkaPort!, partitions, stand.isQuick ? 50 : 500);
  await headwater.stop();
  const segments = readdirSync(join(dir, 'segments')).length;
  stand.removeFolder(dir);
  return { ...size, segments, startMs, restMib, loadMib, cpuSeconds, load, fetchMs };
}

async function fetchAtRandom(port: number, partitions: number, count: number): Promise<number[]> {
  const client = await RawClient.connect(port);
  const tookMs: number[] = [];
  while (tookMs.length < count) {
    const partition = Math.floor(Math.random() * partitions);
    const from = await offsetAt(client, partition, EARLIEST_TIMESTAMP);
    const end = await offsetAt(client, partition, LATEST_TIMESTAMP);
    // A partition that no key was given to.
    if (from === end) continue;
    const fetchOffset = from + Math.floor(Math.random() * (end - from));
    const askedMs = performance.now();
    const answer = await client.ask(fetch, 11, {
      maxWaitMs: 0,
      minBytes: 1,
      topics: [{ topic: TOPIC, partitions: [{ partition, fetchOffset, partitionMaxBytes: FETCH_BYTES }] }],
    });
    tookMs.push(performance.now() - askedMs);
    const { errorCode, records } = answer.responses[0]!.partitions[0]!;
    if (errorCode !== 0 || records === null || records.length === 0)
      throw new Error(`offset ${fetchOffset}: ${errorCode}`);
  }
  client.end();
  return tookMs.toSorted((a, b) => a - b);
}

async function offsetAt(client: RawClient, partitionIndex: number, timestamp: number): Promise<number> {
  const answer = await client.ask(listOffsets, 2, {
    topics: [{ name: TOPIC, partitions: [{ partitionIndex, timestamp }] }],
  });
  return answer.topics[0]!.partitions[0]!.offset;
}

function cellsOf(grown: Grown): string[] {
  const { load, fetchMs } = grown;
  const quantile = (share: number): string => fetchMs[Math.floor(share * (fetchMs.length - 1))]!.toFixed(2);
  return [
    `${nameOf(grown.bytes)}, ${grown.partitions}`,
    String(grown.segments),
    (grown.startMs / 1e3).toFixed(2),
    grown.restMib.toFixed(0),
    grown.loadMib.toFixed(0),
    ((grown.cpuSeconds / load.acked) * 1e6).toFixed(1),
    load.p50Ms.toFixed(1),
    load.p99Ms.toFixed(1),
    load.maxMs.toFixed(0),
    quantile(0.5),
    quantile(0.99),
  ];
}

function nameOf(bytes: number): string {
  return bytes < 1e9 ? `${bytes / 1e6} MB` : `${bytes / 1e9} GB`;
}
