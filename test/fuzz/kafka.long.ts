// The same as kafka.test.ts, longer, and on a door with the real log below it.

import { expect, test } from 'vitest';
import { openNode } from '../interop/open-node.ts';
import { fuzzDoor, fuzzFrames, fuzzMessage, goodMessages } from './kafka-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/kafka.long.ts');

test('any bytes are a message that comes back the same, or a FORMAT error', () => {
  const random = openRandom(seed);
  const good = goodMessages();
  for (let round = 0; round < 500_000; round++) fuzzMessage(random, good);
});

test('any stream of bytes is frames with headers, or a FORMAT error', () => {
  const random = openRandom(seed + 1);
  for (let round = 0; round < 300_000; round++) fuzzFrames(random);
});

test('a door that is sent spoilt requests goes on serving, holds nothing back, and its log stays readable', async () => {
  const node = await openNode();
  await node.log.createTopic('readings');
  await fuzzDoor(openRandom(seed + 2), node.port, 'readings', 10_000);
  const partition = node.log.topic('readings')!.partitions[0]!;
  expect(partition.highWatermark).toBeGreaterThan(100);
  for (let offset = partition.logStart; offset < partition.highWatermark; offset++) {
    expect((await partition.read(offset, 1)).length).toBeGreaterThan(0);
  }
  await node.close();
  expect(node.kafka.status().inFlight).toEqual({ requestBytes: 0, responseBytes: 0 });
});
