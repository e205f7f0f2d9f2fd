// udev reads the rules that ship without a complaint: by `udevadm verify` where it has that (254 and later), else by
// `udevadm test`, which reads them from /run/udev/rules.d and needs root. No daemon is told of them.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const SHIPPED = join(import.meta.dirname, '../../deploy/65-headwater.rules');
const RUN = '/run/udev/rules.d';

function udevadm(...args: string[]): Promise<{ isDone: boolean; said: string }> {
  return new Promise((resolve) => {
    execFile('udevadm', args, (error, out, err) => resolve({ isDone: error === null, said: `${out}${err}` }));
  });
}

/** What udev has to say against these rules. */
async function complaints(rules: string): Promise<string[]> {
  const { isDone, said: version } = await udevadm('--version');
  if (!isDone) throw new Error('there is no udevadm: install the package udev');
  const isOld = Number.parseInt(version, 10) < 254;
  if (isOld) await mkdir(RUN, { recursive: true });
  const folder = isOld ? undefined : await mkdtemp(join(tmpdir(), 'headwater-udev-'));
  const file = join(folder ?? RUN, `65-headwater-check-${process.pid}.rules`);
  await writeFile(file, rules);
  try {
    const { said } = isOld
      ? await udevadm('test', '--action=add', '/sys/class/mem/null')
      : await udevadm('verify', '--resolve-names=never', file);
    const about = said.split('\n').filter((line) => line.includes(file) && !line.startsWith('Reading'));
    if (isOld && !said.includes(`Reading rules file: ${file}`)) throw new Error(`udev did not read the rules: ${said}`);
    return about.map((line) => line.replace(file, 'rules'));
  } finally {
    await rm(folder ?? file, { recursive: true, force: true });
  }
}

test('udev has nothing against the rules', async () => {
  expect(await complaints(await readFile(SHIPPED, 'utf8'))).toEqual([]);
});

test('and would say so if it had', async () => {
  const said = await complaints(`${await readFile(SHIPPED, 'utf8')}\nSUBSYTEM=="tty", GROUP="dialout"\n`);
  expect(said.join()).toMatch(/SUBSYTEM/);
});
