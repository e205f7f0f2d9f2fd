// A compacted topic as Kafka's clients read it: batches that have lost records, and empty ones in the place of those that
// have lost all. They share no code with headwater and check every CRC.

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeBatch, readBatchHeader, type BatchHeader } from '../../src/formats/batch.ts';
import { readTopic } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';
import { javaTool } from './java-tool.ts';
import { openNode, type Node } from './open-node.ts';

const ROUNDS = 60;
const KEYS = 200;

let node: Node;
const latest = new Map<string, string>();
let end: number;

/** Each key once a round; every second producer is idempotent, so that empty batches stand behind its own. */
beforeAll(async () => {
  node = await openNode({ cleaningIntervalMs: 20 });
  const [partition] = (await node.log.createTopic('latest', { cleanup: 'compact' })).partitions;
  for (let round = 0; round < ROUNDS; round += 1) {
    const appends: Promise<unknown>[] = [];
    for (let from = 0; from < KEYS; from += 20) {
      const records = Array.from({ length: 20 }, (_, index) => {
        // Most keys are written in every round, some in a few only.
        const number = from + index;
        const key = `key ${index % 7 === 3 && round % 20 !== 5 ? number - 1 : number}`;
        const value = round > 40 && number % 20 === 0 ? null : randomBytes(60).toString('hex');
        if (value === null) latest.delete(key);
        else latest.set(key, value);
        return { timestampMs: Date.now(), key: Buffer.from(key), value: value === null ? null : Buffer.from(value) };
      });
      const producer = { producerId: 7000 + from, producerEpoch: 0, baseSequence: round * 20 };
      const compression = from % 40 === 0 ? 'zstd' : 'none';
      appends.push(partition!.append(encodeBatch(records, { compression, ...(from % 3 === 0 && producer) })));
    }
    await Promise.all(appends);
  }
  end = partition!.highWatermark;
  // What came last is read from memory: something else must lie there.
  const [noise] = (await node.log.createTopic('noise')).partitions;
  for (let count = 0; count < 5; count += 1) {
    await noise!.append(encodeBatch([{ timestampMs: Date.now(), key: null, value: randomBytes(900_000) }]));
  }
  await until('cleaned', () => partition!.bytes < 600_000);
  const headers: BatchHeader[] = [];
  for (let next = 0; next < end;) {
    for (const batch of await partition!.read(next, 1e6)) {
      headers.push(readBatchHeader(batch));
      next = headers.at(-1)!.baseOffset + headers.at(-1)!.lastOffsetDelta + 1;
    }
  }
  expect(headers.some(({ recordCount }) => recordCount === 0)).toBe(true);
  expect(headers.some(({ recordCount, lastOffsetDelta }) => recordCount > 0 && recordCount <= lastOffsetDelta)).toBe(
    true,
  );
});
afterAll(() => node.close());

function check(records: { key: string; value: string | null }[]): void {
  const found = new Map<string, string>();
  for (const { key, value } of records) {
    if (value === null) found.delete(key);
    else found.set(key, value);
  }
  expect(records.length).toBeLessThan((ROUNDS * KEYS) / 2);
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(latest));
}

test('kcat reads it from the beginning, and from every kind of offset', async () => {
  const all = await readTopic(node.bootstrap, 'latest', 0);
  check(all.map(({ key, value }) => ({ key: String(key), value: value === null ? null : String(value) })));
  for (const from of [1, 19, 20, 777, end - 1]) {
    const part = await readTopic(node.bootstrap, 'latest', 0, from);
    expect(part.map(({ offset }) => offset)).toEqual(
      all.map(({ offset }) => offset).filter((offset) => offset >= from),
    );
  }
});

test("Java's consumer reads it", async () => {
  const args = [
    '--topic',
    'latest',
    '--from-beginning',
    '--timeout-ms',
    '4000',
    '--formatter-property',
    'print.key=true',
  ];
  const separator = ['--formatter-property', 'null.literal=NULL', '--formatter-property', 'key.separator=|'];
  const out = await javaTool(node.bootstrap, 'consumer.ConsoleConsumer', [...args, ...separator]);
  const lines = out.split('\n').filter((line) => line.includes('|'));
  check(
    lines.map((line) => {
      const [key, value] = line.split('|') as [string, string];
      return { key, value: value === 'NULL' ? null : value };
    }),
  );
});
