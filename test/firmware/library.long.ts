// The C library in firmware-bridge by its own Makefile: vectors and stories on this machine and on three targets in QEMU, warnings of two
// compilers for six targets, sizes that agree with the README, manifests and builds of its packages. Ten minutes of
// its fuzzer are .ci/run's, beside the suites.

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const LIBRARY = join(import.meta.dirname, '../../firmware-bridge');
const MINUTE = 60_000;

function make(...targets: string[]): Promise<{ status: number | null; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('make', ['-C', LIBRARY, '--no-print-directory', ...targets]);
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, said }));
  });
}

async function made(...targets: string[]): Promise<string> {
  const { status, said } = await make(...targets);
  expect(status, said).toBe(0);
  return said;
}

test(
  'vectors, stories and power cuts hold on this machine',
  async () => {
    const said = await made('test');
    for (const part of ['vectors', 'session', 'ring', 'chaos', 'core'])
      expect(said).toMatch(new RegExp(`^${part}: \\d+ tests, 0 failures$`, 'm'));
  },
  MINUTE * 5,
);

test(
  'and on Cortex-M0, Cortex-M3 and RV32',
  async () => {
    const said = await made('test-targets');
    expect(said.match(/ 0 failures$/gm)).toHaveLength(15);
  },
  MINUTE * 10,
);

test(
  'gcc and clang warn of nothing on six targets',
  async () => {
    expect((await made('warnings')).match(/no warning/g)).toHaveLength(6);
  },
  MINUTE * 5,
);

test(
  'the sizes are those of the README, and the core is as small as it is meant to be',
  async () => {
    const table = (await made('size')).split('\n').filter((line) => line.startsWith('|'));
    const readme = await readFile(join(LIBRARY, 'README.md'), 'utf8');
    const compact = (text: string): string => text.replaceAll(/ +|-+:?/g, '');
    for (const line of table) expect(compact(readme)).toContain(compact(line));
    const [names, m0] = ['target', 'cortex-m0'].map((name) =>
      table
        .find((line) => line.startsWith(`| ${name} |`))!
        .split('|')
        .map((cell) => cell.trim()),
    );
    const bounds = { core: 3072, hwb_t: 160, 'stack, core': 256, 'stack, all': 256 };
    for (const [column, most] of Object.entries(bounds))
      expect(Number(m0![names!.indexOf(column)]), column).toBeLessThanOrEqual(most);
  },
  MINUTE * 5,
);

test(
  'the manifests are right, and the packages build',
  async () => {
    await made('packages');
  },
  MINUTE * 10,
);

test(
  'the programs for boards build',
  async () => {
    expect((await made('firmware')).match(/\.elf$/gm)).toHaveLength(8);
  },
  MINUTE * 5,
);
