// Cleaning that a crash interrupts, when the tables are lost with it, or only old rows of them are left.

import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { before, CRASHES, isWhole, opened, startFrom } from './cleaned-folder.ts';

const TABLES: [string, () => Promise<void>][] = [
  ['the tables are lost', () => rm(join(opened.folder, 'tables'), { recursive: true })],
  [
    'of the tables only old rows are left',
    async () => {
      await rm(join(opened.folder, 'tables'), { recursive: true });
      await cp(join(before, 'tables'), join(opened.folder, 'tables'), { recursive: true });
      // As a card leaves them that has lost what was written last: damaged, and with the rows of before.
      for (const name of await readdir(join(opened.folder, 'tables'))) {
        if (name.startsWith('MANIFEST')) await writeFile(join(opened.folder, 'tables', name), '');
      }
    },
  ],
];

describe.each(TABLES)('a crash, and %s', (_, lose) => {
  test.each(CRASHES)('%s', async (_name, crash) => {
    await startFrom(before, async () => {
      await crash();
      await lose();
    });
    await isWhole();
    await opened.reopen();
    await isWhole();
  });
});
