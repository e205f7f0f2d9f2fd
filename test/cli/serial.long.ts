// serial monitor and send on a real port that no node holds, and on one that a node holds and that never stops. Needs
// script(1) of util-linux, python3 or socat.

import { afterEach, expect, test } from 'vitest';
import { openPty, type Pty } from '../parts/pty.ts';
import { openNode } from '../journeys/open-node.ts';
import { until } from '../parts/until.ts';
import { run, type Ran } from './run-cli.ts';

/** Nobody listens there. */
const NO_NODE = { HEADWATER_URL: 'http://127.0.0.1:9' };
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function plug(): Promise<Pty> {
  const pty = await openPty();
  cleanups.push(() => pty.close());
  return pty;
}

async function monitor(args: string[], env: Record<string, string>, isEnough: (out: string) => boolean): Promise<Ran> {
  const end = new AbortController();
  const onOut = (out: string): void => void (isEnough(out) && end.abort());
  return run(['serial', 'monitor', ...args], { env, signal: end.signal, onOut });
}

test('a port that no node holds is opened for the look, and waited for while it is unplugged', async () => {
  const pty = await plug();
  let isOver = false;
  const speaking = (async () => {
    while (!isOver) {
      await pty.write('t=21\r\n');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  let wasUnplugged = false;
  const { code, out } = await monitor([pty.path, '-b', '9600'], NO_NODE, (text) => {
    if (!wasUnplugged && text.includes('= record')) {
      wasUnplugged = true;
      void pty.unplug().then(() => pty.replug());
    }
    return /lost[^]*open[^]*= record/.test(text);
  });
  isOver = true;
  await speaking;
  expect(code).toBe(130);
  expect(out).toMatch(/< 74 3d 32 31 0d 0a {32}t=21\.\.\n/);
  expect(out).toMatch(/\* lost: .+\n[^]*\* open\n/);
});

test('bytes are sent to it and have left when the command ends; a second one finds it in use', async () => {
  const pty = await plug();
  const received: Buffer[] = [];
  pty.onData((bytes) => received.push(bytes));
  expect(await run(['serial', 'send', pty.path, 'ping\\n'], { env: NO_NODE })).toEqual({ code: 0, out: '', err: '' });
  await until('it is there', () => Buffer.concat(received).toString() === 'ping\n');
  const end = new AbortController();
  let second: Promise<Ran> | undefined;
  const onOut = (): void => {
    second ??= run(['serial', 'send', pty.path, 'x'], { env: NO_NODE }).finally(() => end.abort());
  };
  await run(['serial', 'monitor', pty.path], { env: NO_NODE, signal: end.signal, onOut });
  expect(await second).toMatchObject({ code: 75, err: expect.stringContaining('in use by another process') as string });
});

test('a look at a port that floods costs no record, and what it shows has a bound', async () => {
  const pty = await plug();
  const node = await openNode({ serial: [{ path: pty.path, name: 'flood', topic: 'flood' }] });
  cleanups.push(() => node.remove());
  await until('it is open', () => node.headwater.status().serial[0]?.state === 'open');
  const end = new AbortController();
  let shown = '';
  const looking = run(['serial', 'monitor', 'flood'], {
    env: { HEADWATER_URL: node.http },
    signal: end.signal,
    onOut: (out) => void (shown = out),
  });
  const chunk = `${'x'.repeat(49)}\n`.repeat(1000);
  let lines = 0;
  for (; lines < 100_000 || !shown.includes('= flood'); lines += 1000) await pty.write(chunk);
  end.abort();
  expect((await looking).code).toBe(130);
  await until('all lines are in', () => node.headwater.status().serial[0]?.records === lines);
  expect(node.headwater.status().serial[0]).toMatchObject({ overlong: 0, invalid: 0, openings: 1 });
});
