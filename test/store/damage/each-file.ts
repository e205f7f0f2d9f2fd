// Words for tests that delete files of a data folder: one that has some of everything, and what must be true afterwards.

import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { GAPS_TOPIC } from '../../../src/log/gaps.ts';
import { openLogFolder, type OpenLogFolder } from '../../log/open-log.ts';
import { append, compare, PARTITIONS } from './ledger.ts';

export interface Template {
  folder: string;
  /** Of every file, below the folder. */
  files: string[];
  ends: number[];
  clusterId: string;
  topicId: string;
}

const PER_PARTITION = 180;
export const POSITION = { offset: 7, state: { producerId: 5 } };

/** Two topics, some segments and half of one, a position; closed. */
export async function makeTemplate(): Promise<Template> {
  const opened = await openLogFolder();
  const topic = await opened.log.createTopic('t', { partitions: PARTITIONS, retentionBytes: 1e9 });
  await opened.log.createTopic('empty', { retentionMs: 77_000 });
  await append(opened.log, PER_PARTITION);
  await opened.store.whenSealed();
  // All of it is in tables then, and what follows in the one write-ahead log.
  await opened.reopen();
  const { clusterId, positions } = opened.log;
  const { partitions } = opened.log.topic('t')!;
  await positions.set('mirror/dc', partitions[1]!, POSITION, true);
  await append(opened.log, 6);
  const folder = await mkdtemp(join(tmpdir(), 'headwater-files-'));
  const ends = partitions.map((each) => each.highWatermark);
  await opened.reopenAfter(() => cp(opened.folder, folder, { recursive: true }));
  await opened.remove();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  const names = files.map((each) => each.slice(folder.length + 1)).toSorted();
  return { folder, files: names, ends, clusterId, topicId: topic.id.toString('hex') };
}

/** Opens the template without some of its files: it boots, and all that is not in a gap is there. Returns what is lost. */
export async function openWithout(opened: OpenLogFolder, template: Template, files: string[]): Promise<number> {
  await opened.reopenAfter(async () => {
    await rm(opened.folder, { recursive: true });
    await cp(template.folder, opened.folder, { recursive: true });
    for (const file of files) await rm(join(opened.folder, file));
  });
  const { log, store } = opened;
  expect(log.clusterId).toBe(template.clusterId);
  const names = log.topics().map(({ name }) => name);
  expect(names.filter((name) => name !== GAPS_TOPIC)).toEqual(['empty', 't']);
  expect(log.topic('t')!.id.toString('hex')).toBe(template.topicId);
  expect(log.topic('t')!.settings.retentionBytes).toBe(1e9);
  expect(log.topic('empty')!.settings.retentionMs).toBe(77_000);
  // It lies in the tables and in the segment that was written then: without both files nobody has it.
  const mayBeLost = files.some(holdsRecords) && files.some((file) => file.startsWith('tables/'));
  const position = log.positions.get('mirror/dc', log.topic('t')!.partitions[1]!);
  if (position !== undefined || !mayBeLost) expect(position, files.join(' and ')).toEqual(POSITION);
  const lost = await compare(store, log, template.ends, files.join(' and '));
  // What is lost is said, with the file or the folder that had it.
  if (lost > 0) expect(store.gaps().every(({ reason }) => /^segment \d+: |^records/.test(reason))).toBe(true);
  return lost;
}

/** Of what one file of records holds, two at most are lost with two files. */
export function holdsRecords(file: string): boolean {
  return /^segments\/.*\.(ldb|log)$/.test(file);
}
