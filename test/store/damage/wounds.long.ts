// Wounds at random, from a printed seed, in one or two files of a closed folder: bits that turned over, zeros, ends cut off. It
// boots each time, and what the wounded bytes did not hold is there, or in a gap; offsets are not given again; and the next
// start finds the same. HEADWATER_SEED=N repeats it.
//
// The end of a write-ahead log is left out: cut or zeroed it looks like a write that the power cut before its sync.

import { cp, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openRandom, printedSeed, type Random } from '../../fuzz/random.ts';
import { batchOf, openLogFolder, type OpenLogFolder } from '../../log/open-log.ts';
import { makeTemplate, type Template } from './each-file.ts';
import { compare } from './ledger.ts';
import { overwrite } from './rows.ts';

const ROUNDS = 100;
const ZEROS_MAX = 30_000;
/** What follows in a log is sound, and shows that something is missing before it. */
const LOG_BLOCK_BYTES = 32 * 1024;

/** Wounds a file, and says how; undefined where it was left as it is. */
async function wound(folder: string, file: string, random: Random): Promise<string | undefined> {
  const path = join(folder, file);
  const { size } = await stat(path);
  if (size === 0) return undefined;
  const isLog = /^segments\/.*\.log$/.test(file);
  const at = random.below(size);
  const how = random.below(3);
  if (how === 0 && !isLog) {
    await truncate(path, at);
    return `${file} cut at ${at} of ${size}`;
  }
  if (how === 1) {
    const end = Math.min(isLog ? LOG_BLOCK_BYTES : size, at + 1 + random.below(ZEROS_MAX));
    await overwrite(path, at, Buffer.alloc(Math.max(0, end - at)));
    return `${file} zeroed from ${at} to ${end} of ${size}`;
  }
  const bytes = await readFile(path);
  await overwrite(path, at, Buffer.of(bytes[at]! ^ (1 << random.below(8))));
  return `a bit of ${file} at ${at} of ${size}`;
}

async function expectWhole({ log, store }: OpenLogFolder, template: Template, what: string): Promise<void> {
  expect(log.clusterId, what).toBe(template.clusterId);
  expect(log.topic('t')?.id.toString('hex'), what).toBe(template.topicId);
  expect(log.topic('t')!.settings.retentionBytes, what).toBe(1e9);
  expect(log.topic('empty'), what).toBeDefined();
  await compare(store, log, template.ends, what);
}

test(`${ROUNDS} times one or two wounds`, { timeout: 600_000 }, async () => {
  const random = openRandom(printedSeed('wounds'));
  const template = await makeTemplate();
  onTestFinished(() => rm(template.folder, { recursive: true }));
  const opened = await openLogFolder();
  onTestFinished(() => opened.remove());
  const files = template.files.filter((file) => !/(^|\/)(LOG|LOG\.old|LOCK|owner|ballast)$/.test(file));
  let losses = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const wounds: (string | undefined)[] = [];
    await opened.reopenAfter(async () => {
      await rm(opened.folder, { recursive: true });
      await cp(template.folder, opened.folder, { recursive: true });
      for (let count = 1 + random.below(2); count > 0; count -= 1) {
        wounds.push(await wound(opened.folder, random.pick(files), random));
      }
    });
    const what = wounds.join(' and ');
    await expectWhole(opened, template, what);
    for (const partition of opened.log.topic('t')!.partitions) {
      const { baseOffset } = await partition.append(batchOf(0, 1));
      expect(baseOffset, what).toBeGreaterThanOrEqual(template.ends[partition.index]!);
    }
    const gaps = opened.store.gaps();
    if (gaps.length > 0) losses += 1;
    await opened.reopen();
    expect(opened.store.gaps(), what).toEqual(gaps);
    await expectWhole(opened, template, what);
  }
  console.log(`${losses} of ${ROUNDS} cost records`);
  expect(losses).toBeGreaterThan(10);
});
