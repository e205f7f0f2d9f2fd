// A segment that has lost its first write lacks the marks of those before it, which are taken from the segment before. What
// is removed after that stays removed: the next start must not take them from there once more.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { expect, onTestFinished, test } from 'vitest';
import { COMPLETE_KEY } from '../../../src/store/keys.ts';
import { batchOf, openLogFolder, type OpenLogFolder } from '../../log/open-log.ts';

const names = ({ log }: OpenLogFolder): string[] => [...log.marks('test/')].map(([key]) => key).toSorted();

async function append({ log }: OpenLogFolder, number: number, bytes = 100): Promise<void> {
  await log.topic('t')!.partitions[0]!.append(batchOf(number, 1, { bytes }));
}

test('a mark that was removed after its segment was saved does not come back', async () => {
  const opened = await openLogFolder();
  onTestFinished(() => opened.remove());
  await opened.log.createTopic('t');
  await opened.log.mark('test/old', Buffer.of(1)).done();
  let number = 0;
  for (; opened.store.sealed().length === 0; number += 1) {
    await append(opened, number, 30_000);
    await opened.store.whenSealed();
  }
  await append(opened, number);
  const newest = opened.store.sealed().at(-1)!.id + 1;
  await opened.reopenAfter(async () => {
    const folder = join(opened.folder, 'segments', newest.toString(16).padStart(8, '0'));
    const level = new ClassicLevel<Buffer, Buffer>(folder, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      compression: false,
    });
    for await (const key of level.keys()) if (!key.equals(COMPLETE_KEY) && key.includes('test/')) await level.del(key);
    await level.del(COMPLETE_KEY);
    await level.close();
    await rm(join(folder, 'LOG.old'), { force: true });
  });
  expect(names(opened)).toEqual(['test/old']);
  await opened.log.mark('test/old', null).done();
  await append(opened, number + 1);
  expect(names(opened)).toEqual([]);
  await opened.reopen();
  expect(names(opened)).toEqual([]);
});
