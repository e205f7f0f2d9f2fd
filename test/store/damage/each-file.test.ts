// Every file of a data folder is deleted in turn: it boots, and loses nothing but the records that this file held.

import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLogFolder, type OpenLogFolder } from '../../log/open-log.ts';
import { holdsRecords, makeTemplate, openWithout, type Template } from './each-file.ts';

let template: Template;
let opened: OpenLogFolder;

beforeAll(async () => {
  template = await makeTemplate();
  opened = await openLogFolder();
});
afterAll(async () => {
  await opened.remove();
  await rm(template.folder, { recursive: true });
});

test('each file of the data folder alone', async () => {
  expect(template.files.filter((file) => file.startsWith('tables/')).length).toBeGreaterThan(3);
  expect(template.files.filter(holdsRecords).length).toBeGreaterThan(12);
  let lostTotal = 0;
  for (const file of template.files) {
    const lost = await openWithout(opened, template, [file]);
    if (!holdsRecords(file)) expect(lost, file).toBe(0);
    expect(lost, file).toBeLessThan(60);
    lostTotal += lost;
  }
  // Each record lies in one file.
  expect(lostTotal).toBeGreaterThanOrEqual(template.ends[0]! + template.ends[1]!);
});

test('all of the tables', async () => {
  const files = template.files.filter((file) => file.startsWith('tables/'));
  expect(await openWithout(opened, template, files)).toBe(0);
  expect(opened.store.quarantine()).toMatchObject([{ name: 'tables.1', reason: 'the tables are missing' }]);
});
