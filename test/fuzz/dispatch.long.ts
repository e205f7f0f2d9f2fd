// A million requests through the dispatch, and some on the real log: nothing is thrown, nothing grows, what is printed is
// bounded, and the log is sound afterwards.

import { expect, test } from 'vitest';
import { fakeLog } from '../fakes/log.ts';
import { openLogFolder } from '../log/open-log.ts';
import { heapMib } from '../parts/heap.ts';
import { openDispatch } from './dispatch-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/dispatch.long.ts');

const REQUESTS = 1_000_000;
const REAL_REQUESTS = 15_000;
const AT_ONCE = 100;
const GROWTH_MIB_MAX = 24;

test(`${REQUESTS} requests are answered or refused, and leave nothing behind`, async () => {
  const log = fakeLog();
  const { id } = await log.createTopic('t', { partitions: 2 });
  const dispatched = openDispatch(openRandom(seed), log, [id]);
  let warmMib = 0;
  for (let count = 0; count < REQUESTS; count += AT_ONCE) {
    await dispatched.run(AT_ONCE);
    if (count === REQUESTS / 10) warmMib = heapMib();
  }
  const { groups, members } = dispatched.groups.status();
  console.log(
    `${dispatched.refused} refused; heap ${warmMib} -> ${heapMib()} MiB; ${groups} groups, ${members} members`,
  );
  expect(heapMib() - warmMib).toBeLessThan(GROWTH_MIB_MAX);
  expect(dispatched.lines.length).toBeLessThan(200);
  expect(members).toBeLessThanOrEqual(200);
  dispatched.close();
});

test('on the real log, too, which opens again afterwards with all that can be read', async () => {
  const folder = await openLogFolder();
  const { id } = await folder.log.createTopic('t', { partitions: 2 });
  const dispatched = openDispatch(openRandom(seed + 1), folder.log, [id]);
  for (let count = 0; count < REAL_REQUESTS; count += AT_ONCE) await dispatched.run(AT_ONCE);
  dispatched.close();
  const before = folder.log
    .topics()
    .map(({ name, partitions }) => [name, partitions.map((each) => each.highWatermark)]);
  await folder.reopen();
  expect(
    folder.log.topics().map(({ name, partitions }) => [name, partitions.map((each) => each.highWatermark)]),
  ).toEqual(before);
  for (const partition of folder.log.topics().flatMap(({ partitions }) => partitions)) {
    if (partition.logStart < partition.highWatermark) await partition.read(partition.logStart, 1 << 20);
  }
  await folder.remove();
});
