// Kafka Connect, distributed, on headwater: a file goes in line by line, exactly once, and out into another file, while the
// worker is killed and started again. Its internal topics are compacted ones of headwater.

import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../parts/kafka.ts';
import { readTopic } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';
import { openJavaProcess } from './java-process.ts';
import { openNode } from './open-node.ts';

const INTERNAL = ['connect-configs', 'connect-offsets', 'connect-status'];
const KILLS = 3;
const LINES_EACH = 500;
const MINUTES_2 = 120_000;

test('a file goes through, whole and once, though the worker is killed', { timeout: 600_000 }, async () => {
  const node = await openNode();
  onTestFinished(() => node.close());
  const port = await freePort();
  const worker = await openJavaProcess('org.apache.kafka.connect.cli.ConnectDistributed', {
    'bootstrap.servers': node.bootstrap,
    'group.id': 'connect',
    'config.storage.topic': 'connect-configs',
    'offset.storage.topic': 'connect-offsets',
    'status.storage.topic': 'connect-status',
    'config.storage.replication.factor': '-1',
    'offset.storage.replication.factor': '-1',
    'status.storage.replication.factor': '-1',
    'offset.storage.partitions': '3',
    'status.storage.partitions': '1',
    'offset.flush.interval.ms': '1000',
    // To look through all of Kafka's classes takes a minute; they are listed.
    'plugin.discovery': 'service_load',
    'exactly.once.source.support': 'enabled',
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
    // A worker that is killed is missed soon, and its work is given away at once.
    'session.timeout.ms': '6000',
    'heartbeat.interval.ms': '500',
    'scheduled.rebalance.max.delay.ms': '0',
    listeners: `http://127.0.0.1:${port}`,
  });
  onTestFinished(() => worker.remove());
  let answered = '';
  const [from, to] = [join(worker.folder, 'in.txt'), join(worker.folder, 'out.txt')];
  const tell = (): string => `${answered}\n${worker.output()}\n${node.lines.slice(-20).join('\n')}`;
  await writeFile(from, '');
  worker.start();
  const ask = async (path: string, config?: object): Promise<unknown> => {
    const headers = { 'content-type': 'application/json' };
    const asked = config && { method: 'PUT', body: JSON.stringify(config), headers };
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, asked);
      answered = await answer.text();
      return answer.ok ? JSON.parse(answered) : undefined;
    } catch {
      return undefined; // It does not listen yet.
    }
  };
  const put = (name: string, config: object): Promise<void> =>
    until(
      `${name} is there`,
      async () => (await ask(`/connectors/${name}/config`, config)) !== undefined,
      MINUTES_2,
      tell,
    );
  const file = 'org.apache.kafka.connect.file.FileStream';
  await put('source', {
    'connector.class': `${file}SourceConnector`,
    'tasks.max': '1',
    file: from,
    topic: 'lines',
    'exactly.once.support': 'required',
    'transaction.boundary': 'poll',
  });
  const lines: string[] = [];
  for (let round = 0; round <= KILLS; round += 1) {
    const more = Array.from({ length: LINES_EACH }, (_, index) => `line ${lines.length + index} of the file`);
    lines.push(...more);
    await appendFile(from, `${more.join('\n')}\n`);
    const end = (): number => node.log.topic('lines')?.partitions[0]!.highWatermark ?? 0;
    const before = end();
    await until('lines come', () => end() > before, MINUTES_2, tell);
    if (round === KILLS) break;
    await worker.kill();
    worker.start();
  }
  const values = async (): Promise<string[]> =>
    (await readTopic(node.bootstrap, 'lines')).map(({ value }) => String(value));
  await until('all is in', async () => (await values()).length >= lines.length, MINUTES_2, tell);
  expect(await values()).toEqual(lines);

  await put('sink', { 'connector.class': `${file}SinkConnector`, 'tasks.max': '1', file: to, topics: 'lines' });
  const written = async (): Promise<string[]> =>
    (await readFile(to, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  await until('lines go out', async () => (await written()).length > 0, MINUTES_2, tell);
  await worker.kill();
  worker.start();
  await until('all is out', async () => new Set(await written()).size === lines.length, MINUTES_2, tell);
  // A sink of files writes what it had not committed once more; nothing is missing and nothing is strange.
  expect(new Set(await written())).toEqual(new Set(lines));
  for (const topic of INTERNAL) expect(node.log.topic(topic)!.settings.cleanup, topic).toBe('compact');
  const { state } = (await ask('/connectors/source/status').then((status) => (status as Status).connector)) ?? {};
  expect(state).toBe('RUNNING');
});

interface Status {
  connector: { state: string };
}
