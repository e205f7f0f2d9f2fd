import { expect, onTestFinished, test } from 'vitest';
import { servedApis } from '../../src/kafka/dispatch.ts';
import { fakeLog } from '../fakes/log.ts';
import { apiOf } from '../formats/kafka/tables.ts';
import { openDispatch } from './dispatch-cases.ts';
import { goodMessages } from './kafka-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/dispatch.test.ts');

test('every API that is served is in the tables that tests go over, and among the messages of Kafka', () => {
  const golden = new Set(goodMessages().flatMap(({ api, fields }) => (fields === api.request ? [api.key] : [])));
  for (const { apiKey } of servedApis()) {
    expect(apiOf(apiKey)?.key).toBe(apiKey);
    expect(golden.has(apiKey), String(apiKey)).toBe(true);
  }
});

test('any request of any API is answered or refused, and nothing else', async () => {
  const log = fakeLog();
  const { id } = await log.createTopic('t', { partitions: 2 });
  const dispatched = openDispatch(openRandom(seed), log, [id]);
  onTestFinished(() => dispatched.close());
  for (let round = 0; round < 100; round++) await dispatched.run(60);
  expect(dispatched.refused).toBeGreaterThan(500);
  const { committed, aborted } = dispatched.transactions.status();
  expect(committed + aborted).toBeGreaterThan(0);
  for (const { apiKey } of servedApis()) expect(dispatched.answered.get(apiOf(apiKey)!.name)).toBeGreaterThan(5);
});
