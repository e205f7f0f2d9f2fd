// What it costs to send a backlog to a real Apache Kafka.

import { freePort, startKafka } from '../../test/parts/kafka.ts';
import { cpuSecondsOf } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater } from '../servers.ts';
import type { LoadOptions, Stand } from '../stand.ts';
import { drained, recordsIn } from '../upstream.ts';

const HEAP_MB = 256;

export async function measureMirror(stand: Stand): Promise<Section> {
  const count = stand.isQuick ? 300_000 : 3_000_000;
  const cases: { name: string; load: Omit<LoadOptions, 'port'> }[] = [
    { name: 'JSON readings, taken in at full speed', load: { payload: 'json', count } },
    { name: 'random, 120 bytes, taken in at full speed', load: { payload: 'random', count } },
    { name: 'JSON readings, taken in at 8000/s', load: { payload: 'json', rate: 8_000, count: count / 10 } },
  ];
  const rows: string[][] = [];
  for (const { name, load } of cases) rows.push([name, ...(await drain(stand, load, rows.length))]);
  const head = ['backlog', 'records', 'CPU us/record', 'records/s', 'payload MB/s'];
  return {
    name: 'mirror',
    lines: [
      `To one Apache Kafka 4.3.1 on the same machine (heap ${HEAP_MB} MB), four partitions.`,
      '',
      ...table(head, rows),
    ],
  };
}

async function drain(stand: Stand, load: Omit<LoadOptions, 'port'>, index: number): Promise<string[]> {
  const port = await freePort();
  const dir = stand.makeFolder(`mirror-${index}`);
  stand.progress(`mirror: making a backlog of ${load.count} records`);
  const filling = await startHeadwater(stand, { dir, burst: '0ms', upstream: `127.0.0.1:${port}` });
  const { acked, payloadBytes } = await stand.load({ ...load, port: filling.port });
  await filling.stop();

  stand.progress('mirror: starting Kafka');
  const kafka = await startKafka({ port, heapMb: HEAP_MB });
  try {
    const headwater = await startHeadwater(stand, { dir, burst: '0ms', upstream: kafka.bootstrap });
    // From the start of the process on: what opening costs is in it, and the first batches go to a cold program.
    const startMs = performance.now();
    await drained(headwater, (left) => stand.progress(`mirror: ${left} records left`));
    const seconds = (performance.now() - startMs) / 1000;
    const cpuSeconds = cpuSecondsOf(headwater.pid);
    await headwater.stop();
    const found = await recordsIn(kafka, 'bench.readings');
    if (found !== acked) throw new Error(`${acked} records were acknowledged, Kafka holds ${found}`);
    const each = (cpuSeconds / acked) * 1e6;
    return [String(acked), each.toFixed(2), (acked / seconds).toFixed(0), (payloadBytes / seconds / 1e6).toFixed(1)];
  } finally {
    await kafka.stop();
  }
}
