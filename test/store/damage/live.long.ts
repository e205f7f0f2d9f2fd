// Each damage of the table on a store that is open, in a process that it may end: no crash loop, and afterwards all is there
// or in a gap.

import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../parts/until.ts';
import { openLogFolder, type OpenLogFolder } from '../../log/open-log.ts';
import { makeTemplate, type Template } from './each-file.ts';
import { compare } from './ledger.ts';
import { DAMAGES, type Damage } from './rows.ts';

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

interface Reader {
  lines: string[];
  hasEnded: () => boolean;
  ask(): void;
  kill(): Promise<void>;
}

function startReader(folder: string): Reader {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'reader.ts'), folder]);
  const lines: string[] = [];
  child.stdout.on('data', (bytes: Buffer) => lines.push(...bytes.toString().split('\n').filter(Boolean)));
  // It may be gone when it is asked.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    lines,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    ask: () => void child.stdin.write('\n'),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Reads all in a process, which it may end: then another one has to get through. Returns how many were ended. */
async function readThrough(folder: string, damage: () => Promise<void>): Promise<number> {
  const first = startReader(folder);
  await until('the reader to be ready', () => first.lines.includes('ready') || first.hasEnded());
  expect(first.lines).toContain('ready');
  await damage();
  first.ask();
  await until('the answer of the reader, or its end', () => first.lines.length > 1 || first.hasEnded());
  const crashes = first.hasEnded() ? 1 : 0;
  await first.kill();
  const second = startReader(folder);
  await until('the next reader to be ready', () => second.lines.includes('ready') || second.hasEnded());
  expect(second.lines).toContain('ready');
  await second.kill();
  return crashes;
}

async function survives(damage: Damage, of: 'sealed' | 'unsealed'): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-live-'));
  await cp(template.folder, folder, { recursive: true });
  const segments = join(folder, 'segments');
  const crashes = await readThrough(folder, async () => {
    const names = (await readdir(segments)).toSorted();
    // The last one is made ready for later.
    await damage.make(join(segments, of === 'sealed' ? names[1]! : names.at(-2)!), of === 'sealed' ? 30 : 3);
  });
  await opened.reopenAfter(async () => {
    await rm(opened.folder, { recursive: true });
    await cp(folder, opened.folder, { recursive: true });
    await rm(folder, { recursive: true });
  });
  const lost = await compare(opened.store, opened.log, template.ends);
  console.log(`${damage.name}, ${of}: ${crashes} crashes, ${lost} records lost`);
  if (damage.lostMax !== 'all') expect(lost).toBeLessThanOrEqual(damage.lostMax);
}

// What is in the write-ahead log is in memory, too, and the file is not read while it is open.
const LIVE = DAMAGES.filter(({ name }) => name !== 'a byte in the write-ahead log');

describe.each(LIVE)('$name', (damage) => {
  if (damage.of !== 'unsealed') test('in a sealed segment', () => survives(damage, 'sealed'));
  if (damage.of !== 'sealed') test('in the segment that is written', () => survives(damage, 'unsealed'));
});
