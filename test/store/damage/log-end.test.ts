// The newest write-ahead log without its end, or without itself: this looks like a write whose sync the power did not wait
// for, or that was never begun. It is what headwater does not see, and docs/durability.md says so.

import { cp, link, readdir, rm, stat, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from '../../log/open-log.ts';
import { RECORD_BYTES } from './ledger.ts';
import { overwrite } from './rows.ts';

const COMMITS = 4;

interface Given {
  opened: OpenLogFolder;
  /** The write-ahead log, and where its last commit begins and ends. */
  path: string;
  from: number;
  to: number;
}

/** Some commits of a record and a mark each, all of them in the write-ahead log. */
async function given(): Promise<Given> {
  const opened = await openLogFolder();
  onTestFinished(() => opened.remove());
  await opened.log.createTopic('t');
  await commit(opened, 0);
  // That is in a table then.
  await opened.reopen();
  const sizes: number[] = [];
  const folder = join(opened.folder, 'segments', '00000001');
  const path = join(
    folder,
    (await readdir(folder)).find((name) => name.endsWith('.log'))!,
  );
  for (const number of upTo(COMMITS).slice(1)) {
    await commit(opened, number);
    sizes.push((await stat(path)).size);
  }
  const [from, to] = sizes.slice(-2) as [number, number];
  return { opened, path, from, to };
}

/** A record with a mark; returns its offset. */
async function commit({ log }: OpenLogFolder, number: number): Promise<number> {
  const appending = log.topic('t')!.partitions[0]!.append(batchOf(number, 1, { bytes: RECORD_BYTES }));
  log.mark(`test/${number}`, Buffer.of(number));
  return (await appending).baseOffset;
}

function marked({ log }: OpenLogFolder): number[] {
  return [...log.marks('test/')].map(([, value]) => value[0]!).toSorted((a, b) => a - b);
}

async function expectBack(opened: OpenLogFolder, commits: number): Promise<void> {
  expect(numbersOf(await readAll(opened.log.topic('t')!.partitions[0]!))).toEqual(upTo(commits));
  expect(marked(opened)).toEqual(upTo(commits));
  expect(opened.store.gaps()).toEqual([]);
  expect(await commit(opened, 99)).toBe(commits);
}

type Cut = (log: Given) => Promise<void>;

test.each<[string, Cut]>([
  ['cut by a byte', ({ path, to }) => truncate(path, to - 1)],
  ['cut in its header', ({ path, from }) => truncate(path, from + 3)],
  ['cut off', ({ path, from }) => truncate(path, from)],
  ['zeroed', ({ path, from, to }) => overwrite(path, from, Buffer.alloc(to - from))],
])('the last commit %s: it goes with its marks, no gap is told, and its offset is given again', async (_, cut) => {
  const log = await given();
  await log.opened.reopenAfter(() => cut(log));
  await expectBack(log.opened, COMMITS - 1);
});

test('the last commit zeroed from its middle on is told', async () => {
  const { opened, path, from, to } = await given();
  await opened.reopenAfter(() => overwrite(path, from + RECORD_BYTES / 2, Buffer.alloc(to - from - RECORD_BYTES / 2)));
  expect(marked(opened)).toEqual(upTo(COMMITS - 1));
  expect(opened.store.gaps()[0]).toMatchObject({ firstOffset: COMMITS - 1, lastOffset: COMMITS - 1 });
  expect(await commit(opened, 99)).toBeGreaterThanOrEqual(COMMITS);
});

test('a log that is removed while the one before it is still being written into a table is not missed', async () => {
  const { opened, path } = await given();
  const folder = dirname(path);
  const [before, log] = [`${opened.folder}.before`, `${opened.folder}.log`];
  onTestFinished(async () => {
    for (const path of [before, log]) await rm(path, { recursive: true });
  });
  // LevelDB removes the log when the table is there; what is in it stays under the other name.
  await link(path, log);
  await cp(folder, before, { recursive: true });
  const logs = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.endsWith('.log'));
  let written = COMMITS;
  for (const [first] = await logs(); (await logs()).every((name) => name === first);) await commit(opened, written++);

  await opened.reopenAfter(async () => {
    await rm(folder, { recursive: true });
    await cp(before, folder, { recursive: true });
    await cp(log, path);
  });

  // The last one began the next log.
  await expectBack(opened, written - 1);
});
