import { expect, test } from 'vitest';
import { openDoor } from '../kafka/open-door.ts';
import { fuzzDoor, fuzzFrames, fuzzMessage, goodMessages } from './kafka-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/kafka.test.ts');

test('any bytes are a message that comes back the same, or a FORMAT error', () => {
  const random = openRandom(seed);
  const good = goodMessages();
  let rightCount = 0;
  for (let round = 0; round < 20_000; round++) rightCount += fuzzMessage(random, good) ? 1 : 0;
  expect(rightCount).toBeGreaterThan(1000);
});

test('any stream of bytes is frames with headers, or a FORMAT error', () => {
  const random = openRandom(seed + 1);
  for (let round = 0; round < 3000; round++) fuzzFrames(random);
});

test('a door that is sent spoilt requests goes on serving', async () => {
  const { log, kafka } = await openDoor();
  await log.createTopic('readings');
  await fuzzDoor(openRandom(seed + 2), kafka.port, 'readings', 300);
  expect(kafka.status().malformed).toBeGreaterThan(20);
  expect(kafka.status().produced.records).toBeGreaterThanOrEqual(30);
  expect(kafka.status().requests).toMatchObject({ JoinGroup: expect.any(Number), OffsetCommit: expect.any(Number) });
});
