import { afterAll, beforeAll, expect, test } from 'vitest';
import { kcat, readTopic } from './kcat.ts';
import { startKafka, type Kafka } from './kafka.ts';

let kafka: Kafka;
beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  await kafka.stop();
});

test('a killed broker comes back on its port with its records', async () => {
  await kafka.tool('TopicCommand', ['--create', '--topic', 't', '--partitions', '2']);
  await kcat(['-b', kafka.bootstrap, '-P', '-t', 't', '-p', '1', '-K', ':'], 'a:1\nb:2\n');
  await kafka.restart();

  const records = await readTopic(kafka.bootstrap, 't');

  expect(records.map((record) => [record.partition, record.offset, String(record.key), String(record.value)])).toEqual([
    [1, 0, 'a', '1'],
    [1, 1, 'b', '2'],
  ]);
});

test('a link that is cut refuses, and passes again after it is restored', async () => {
  const list = ['-b', kafka.linkBootstrap, '-L', '-m', '3'];
  kafka.link.cut();
  await expect(kcat(list)).rejects.toThrow(/ended with 1/);
  kafka.link.restore();
  expect((await kcat(list)).toString()).toContain('1 brokers');
});
