// The whole way: sensors publish, headwater acknowledges after its sync, and all of it arrives in a real Apache Kafka.

import { startKafka, type Kafka } from '../../test/parts/kafka.ts';
import { cpuSecondsOf, memoryOf, writtenBytesOf } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater } from '../servers.ts';
import type { LoadOptions, Stand } from '../stand.ts';
import { drained, recordsIn } from '../upstream.ts';

const HEAP_MB = 256;
const PACED_RATE = 8_000;

interface Case {
  name: string;
  burst: string;
  load: Omit<LoadOptions, 'port'>;
}

export async function measurePath(stand: Stand): Promise<Section> {
  const seconds = stand.isQuick ? 5 : 30;
  const full = { payload: 'json', seconds } as const;
  const paced = { ...full, rate: PACED_RATE } as const;
  const cases: Case[] = [
    { name: 'full speed, burst used up', burst: '0ms', load: full },
    { name: 'full speed, with credit', burst: '1h', load: full },
    { name: `${PACED_RATE}/s, burst used up`, burst: '0ms', load: paced },
    { name: `${PACED_RATE}/s, with credit`, burst: '1h', load: paced },
  ];
  const kafka = await startKafka({ heapMb: HEAP_MB });
  const rows: string[][] = [];
  try {
    for (const each of cases) {
      rows.push([each.name, ...(await measureCase(stand, kafka, each, rows.length))]);
    }
  } finally {
    await kafka.stop();
  }
  const head = [
    '',
    'acknowledged',
    'in Kafka',
    'CPU us/message',
    'messages/s',
    'p50 ms',
    'p99 ms',
    'RSS MiB',
    'written per payload byte',
  ];
  return {
    name: 'path',
    lines: [
      `10 connections, window 100, JSON readings of 120 bytes, ${seconds} s each, one Apache Kafka 4.3.1 on the same machine. ` +
        'CPU counts until the mirror has sent the last record.',
      '',
      ...table(head, rows),
    ],
  };
}

async function measureCase(stand: Stand, kafka: Kafka, { name, burst, load }: Case, index: number): Promise<string[]> {
  const node = `path-${index}`;
  const options = { dir: stand.makeFolder(node), node, burst, upstream: kafka.bootstrap, retention: '64MiB' };
  const headwater = await startHeadwater(stand, options);
  stand.progress(`path: ${name}`);
  await stand.load({ port: headwater.port, payload: 'json', seconds: stand.isQuick ? 2 : 4 });
  const show = (left: number): void => stand.progress(`path: ${name}, ${left} records left`);
  await drained(headwater, show);
  const before = await recordsIn(kafka, `${node}.readings`);

  const [cpu, written] = [cpuSecondsOf(headwater.pid), writtenBytesOf(headwater.pid)];
  const result = await stand.load({ ...load, port: headwater.port });
  await drained(headwater, show);
  const cpuUs = ((cpuSecondsOf(headwater.pid) - cpu) / result.acked) * 1e6;
  const writtenPerByte = (writtenBytesOf(headwater.pid) - written) / result.payloadBytes;
  const { rssMib } = memoryOf(headwater.pid);
  const found = (await recordsIn(kafka, `${node}.readings`)) - before;
  await headwater.stop();
  return [
    String(result.acked),
    String(found),
    cpuUs.toFixed(1),
    result.perSecond.toFixed(0),
    result.p50Ms.toFixed(1),
    result.p99Ms.toFixed(1),
    rssMib.toFixed(0),
    writtenPerByte.toFixed(2),
  ];
}
