// Every pair of files of a data folder is deleted: it boots, and loses nothing but the records that these files held.

import { rm } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openLogFolder } from '../../log/open-log.ts';
import { holdsRecords, makeTemplate, openWithout } from './each-file.ts';

test('each pair of files of the data folder', { timeout: 600_000 }, async () => {
  const template = await makeTemplate();
  onTestFinished(() => rm(template.folder, { recursive: true }));
  const opened = await openLogFolder();
  onTestFinished(() => opened.remove());
  // LevelDB's own diagnostics and locks hold nothing: each alone is enough.
  const files = template.files.filter((file) => !/\/(LOG|LOG\.old|LOCK)$/.test(file));
  let pairs = 0;
  for (const [index, first] of files.entries()) {
    for (const second of files.slice(index + 1)) {
      const lost = await openWithout(opened, template, [first, second]);
      const hit = [first, second].filter(holdsRecords).length;
      expect(lost, `${first} and ${second}`).toBeLessThan(60 * hit + 1);
      pairs += 1;
    }
  }
  console.log(`${pairs} pairs of ${files.length} files`);
  expect(pairs).toBeGreaterThan(300);
});
