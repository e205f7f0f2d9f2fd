// Memory that is lent and used again, on a real log: that of large requests, and that of answers to consumers that catch up,
// some of which was read before they asked. What is stored is what was sent, and what is given is what is stored, byte for
// byte, whatever the others do meanwhile.

import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import {
  checkBatch,
  decodeRecords,
  encodeBatch,
  nextOffsetOf,
  readBatchHeader,
  splitBatches,
} from '../../src/formats/batch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { openGroups } from '../../src/groups/groups.ts';
import { openKafka, type Kafka } from '../../src/kafka/kafka.ts';
import type { KafkaLimits } from '../../src/kafka/handler.ts';
import type { Log } from '../../src/log/log.ts';
import { openTransactions } from '../../src/transactions/transactions.ts';
import { openRandom, printedSeed, type Random } from '../fuzz/random.ts';
import { openLogFolder, silent } from '../log/open-log.ts';
import { until } from '../parts/until.ts';
import { produceOf } from './open-door.ts';
import { RawClient } from './raw-client.ts';

const PARTITIONS = 5;
const BATCHES = 60;
const TOPIC = 'readings';

async function openFilled(random: Random, limits: Partial<KafkaLimits> = {}): Promise<{ log: Log; kafka: Kafka }> {
  const folder = await openLogFolder({}, 256 * 1024);
  const { log, store } = folder;
  const trace = silent;
  const groups = openGroups({ log, clock: systemClock, trace, settings: {} });
  const offsets = { settle: groups.settle, producers: groups.stagedBy };
  const transactions = openTransactions({ log, offsets, clock: systemClock, trace });
  const listen = { host: '127.0.0.1', port: 0 };
  const kafka = await openKafka({ listen, log, groups, transactions, clock: systemClock, trace, limits });
  onTestFinished(async () => {
    await kafka.close();
    transactions.close();
    groups.close();
    await folder.remove();
  });
  const { partitions } = await log.createTopic(TOPIC, { partitions: PARTITIONS });
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const append = async (each: (typeof partitions)[number]): Promise<unknown> => {
      const value = randomBytes(random.below(8) === 0 ? 150_000 : 200 + random.below(12_000));
      return each.append(encodeBatch([{ timestampMs: batch, key: null, value }]));
    };
    await Promise.all(partitions.map(append));
  }
  await store.whenSealed();
  return { log, kafka };
}

async function storedIn(log: Log): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for (const partition of log.topic(TOPIC)!.partitions) {
    const batches: Buffer[] = [];
    for (let next = 0; next < partition.highWatermark;) {
      const found = await partition.read(next, 100_000);
      batches.push(...found);
      next = nextOffsetOf(readBatchHeader(found.at(-1)!));
    }
    all.push(Buffer.concat(batches));
  }
  return all;
}

interface Habit {
  partitionMaxBytes: number;
  maxBytes: number;
  isolationLevel: number;
  /** Sometimes it asks for another place than where it is. */
  isErratic?: boolean;
}

/** Reads all partitions to their ends, as the Java client does: who was given something is asked for last. */
async function consume(kafka: Kafka, random: Random, habit: Habit): Promise<Buffer[]> {
  const client = await RawClient.connect(kafka.port);
  onTestFinished(() => client.end());
  const found = Array.from({ length: PARTITIONS }, () => [] as Buffer[]);
  const offsets = new Map(Array.from({ length: PARTITIONS }, (_, index) => [index, 0]));
  while ([...offsets.values()].some((offset) => offset < BATCHES)) {
    const seeks = habit.isErratic === true && random.below(3) === 0;
    const partitions = [...offsets].map(([partition, at]) => {
      const fetchOffset = seeks ? random.below(BATCHES) : at;
      return { partition, fetchOffset, partitionMaxBytes: habit.partitionMaxBytes };
    });
    const { maxBytes, isolationLevel } = habit;
    const wanted = { maxWaitMs: 100, minBytes: 1, maxBytes, isolationLevel, sessionEpoch: -1 };
    const answer = await client.ask(fetch, 12, { ...wanted, topics: [{ topic: TOPIC, partitions }] });
    if (seeks) continue;
    for (const { partitionIndex, errorCode, records } of answer.responses[0]!.partitions) {
      expect(errorCode).toBe(0);
      const last = splitBatches(records ?? Buffer.alloc(0)).at(-1);
      if (records === null || last === undefined) continue;
      found[partitionIndex]!.push(records);
      offsets.delete(partitionIndex);
      offsets.set(partitionIndex, nextOffsetOf(readBatchHeader(last)));
    }
  }
  return found.map((pieces) => Buffer.concat(pieces));
}

test('each of several at once is given what is stored', async () => {
  const random = openRandom(printedSeed('consumers that catch up'));
  const { log, kafka } = await openFilled(random);
  const stored = await storedIn(log);
  const habits: Habit[] = [
    { partitionMaxBytes: 1 << 20, maxBytes: 50 << 20, isolationLevel: 0 },
    { partitionMaxBytes: 300_000, maxBytes: 500_000, isolationLevel: 1 },
    { partitionMaxBytes: 200_000, maxBytes: 1 << 20, isolationLevel: 0, isErratic: true },
    { partitionMaxBytes: 1000, maxBytes: 1000, isolationLevel: 0 },
    { partitionMaxBytes: 1 << 20, maxBytes: 600_000, isolationLevel: 1 },
  ];
  for (const found of await Promise.all(habits.map((habit) => consume(kafka, random, habit)))) {
    for (const [index, each] of found.entries()) expect(each.equals(stored[index]!)).toBe(true);
  }
});

test('clients that go in the midst of answers leave nothing behind, and harm nobody', async () => {
  const random = openRandom(printedSeed('consumers that catch up'));
  const { log, kafka } = await openFilled(random);
  const stored = await storedIn(log);
  const steady = consume(kafka, random, { partitionMaxBytes: 400_000, maxBytes: 800_000, isolationLevel: 0 });
  for (let round = 0; round < 20; round += 1) {
    const client = await RawClient.connect(kafka.port);
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => {
      return { partition, fetchOffset: random.below(10), partitionMaxBytes: 400_000 };
    });
    const wanted = { maxWaitMs: 100, minBytes: 1, maxBytes: 800_000, sessionEpoch: -1 };
    const ask = () => client.send(fetch, 12, { ...wanted, topics: [{ topic: TOPIC, partitions }] });
    const first = ask();
    if (round % 2 === 0) await first();
    ask();
    await systemClock.sleep(random.below(10));
    client.end();
  }
  for (const [index, each] of (await steady).entries()) expect(each.equals(stored[index]!)).toBe(true);
  await until('no answer holds anything', () => kafka.status().inFlight.responseBytes === 0);
});

test('an answer that waits for its client to read stays as it was', async () => {
  const random = openRandom(printedSeed('consumers that catch up'));
  const { log, kafka } = await openFilled(random);
  const stored = await storedIn(log);
  const slow = await RawClient.connect(kafka.port);
  onTestFinished(() => slow.end());
  slow.socket.pause();
  const partitions = stored.map((_, partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 }));
  const wanted = { maxWaitMs: 0, minBytes: 1, sessionEpoch: -1, topics: [{ topic: TOPIC, partitions }] };
  // More than the system's own buffers take.
  const answers = Array.from({ length: 6 }, () => slow.send(fetch, 12, wanted));
  await until('an answer waits', () => kafka.status().inFlight.responseBytes > 1 << 20);
  const habit: Habit = { partitionMaxBytes: 1 << 20, maxBytes: 50 << 20, isolationLevel: 0 };
  await Promise.all([1, 2].map(() => consume(kafka, random, habit)));
  slow.socket.resume();
  for (const answer of answers) {
    for (const { partitionIndex, records } of (await answer()).responses[0]!.partitions) {
      expect(stored[partitionIndex]!.subarray(0, records!.length).equals(records!)).toBe(true);
    }
  }
});

test('a client is given what it can have where there is no memory for more', async () => {
  const random = openRandom(printedSeed('consumers that catch up'));
  const { log, kafka } = await openFilled(random, { responseBytesInFlightMax: 300_000, fetchBytesMax: 200_000 });
  const stored = await storedIn(log);
  const habit: Habit = { partitionMaxBytes: 1 << 20, maxBytes: 1 << 20, isolationLevel: 0 };
  for (const found of await Promise.all([1, 2, 3].map(() => consume(kafka, random, habit)))) {
    for (const [index, each] of found.entries()) expect(each.equals(stored[index]!)).toBe(true);
  }
});

test('what was read ahead of a deletion is not given after it', async () => {
  const { log, kafka } = await openFilled(openRandom(printedSeed('consumers that catch up')));
  const client = await RawClient.connect(kafka.port);
  onTestFinished(() => client.end());
  const ask = (fetchOffset: number) => {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 600_000 }];
    return client.ask(fetch, 12, {
      maxWaitMs: 0,
      minBytes: 1,
      sessionEpoch: -1,
      topics: [{ topic: TOPIC, partitions }],
    });
  };
  const given = splitBatches((await ask(0)).responses[0]!.partitions[0]!.records!);
  const next = nextOffsetOf(readBatchHeader(given.at(-1)!));
  await log.topic(TOPIC)!.partitions[0]!.deleteRecords(BATCHES);
  expect((await ask(next)).responses[0]!.partitions[0]).toMatchObject({ errorCode: 1, logStartOffset: BATCHES });
});

test.for(['synced', 'relaxed'] as const)(
  'what several send at once is stored as it was sent, %s',
  async (durability) => {
    const random = openRandom(printedSeed('producers at once'));
    const { log, kafka } = await openFilled(random);
    await log.createTopic('sent', { partitions: PARTITIONS, durability });
    const clients = await Promise.all(Array.from({ length: PARTITIONS }, () => RawClient.connect(kafka.port)));
    onTestFinished(() => clients.forEach((client) => client.end()));
    const sent = await Promise.all(
      clients.map(async (client, partition) => {
        const values: Buffer[] = [];
        const answers: (() => Promise<unknown>)[] = [];
        for (let batch = 0; batch < 60; batch += 1) {
          const value = randomBytes(16_000 + random.below(random.below(4) === 0 ? 120_000 : 20_000));
          values.push(value);
          const records = encodeBatch([{ timestampMs: batch, key: null, value }]);
          answers.push(client.send(produce, 9, produceOf('sent', records, partition)));
          if (answers.length > 3) await answers.shift()!();
        }
        for (const answer of answers) await answer();
        return values;
      }),
    );
    for (const [index, partition] of log.topic('sent')!.partitions.entries()) {
      await until('all is committed', () => partition.highWatermark === sent[index]!.length);
      const found: Buffer[] = [];
      for (let next = 0; next < partition.highWatermark; next = found.length) {
        for (const batch of await partition.read(next, 500_000)) {
          checkBatch(batch);
          found.push(...decodeRecords(batch).map(({ value }) => value!));
        }
      }
      expect(Buffer.concat(found).equals(Buffer.concat(sent[index]!))).toBe(true);
    }
  },
);
