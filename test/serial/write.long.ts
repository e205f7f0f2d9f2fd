// What is written into a real port: in order, bounded, and no obstacle to closing it. Needs python3.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { OUTPUT_BYTES_MAX } from '../../src/serial/framing.ts';
import { openSerialPort, type Port } from '../../src/serial/port.ts';
import { portConfigs } from '../../src/serial/settings.ts';
import { openPty } from '../parts/pty.ts';
import { serialPorts } from '../parts/serial-settings.ts';
import { until } from '../parts/until.ts';

const cleanups: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function open(path: string, onDrained: () => void): Promise<Port> {
  const [config] = portConfigs(serialPorts({ path, topic: 't' }));
  const port = await openSerialPort(
    config!,
    { onData: () => {}, onLost: () => {}, onDrained, lull: () => 0 },
    systemClock,
  );
  if ('kind' in port) throw new Error(port.message);
  cleanups.push(() => port.close());
  return port;
}

test('a megabyte reaches the device in order, never more than the bound waits', async () => {
  const pty = await openPty(['python3']);
  cleanups.push(() => pty.close());
  const received: Buffer[] = [];
  pty.onData((bytes) => received.push(bytes));
  const sent = Buffer.from(Uint8Array.from({ length: 2 ** 20 }, (_, index) => (index >>> 8) ^ index));
  let at = 0;
  let refusals = 0;
  const port = await open(pty.path, write);
  function write(): void {
    while (at < sent.length && port.write(sent.subarray(at, at + 1000))) at += 1000;
    if (at < sent.length) refusals += 1;
  }
  write();
  // The kernel takes some at once.
  expect(at).toBeGreaterThanOrEqual(Math.floor(OUTPUT_BYTES_MAX / 1000) * 1000);
  expect(at).toBeLessThan(3 * OUTPUT_BYTES_MAX);
  await until('all is there', () => received.reduce((total, { length }) => total + length, 0) === sent.length);
  expect(Buffer.concat(received).equals(sent)).toBe(true);
  expect(refusals).toBeGreaterThan(10);
});

test('a device that takes nothing keeps neither the port from being closed nor the process from going on', async () => {
  const script =
    'import pty, os, tty, time; m, s = pty.openpty(); tty.setraw(s); print(os.ttyname(s), flush=True); time.sleep(1000)';
  const deaf = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanups.push(async () => {
    deaf.kill('SIGKILL');
    await once(deaf, 'exit');
  });
  const [path] = (await once(deaf.stdout, 'data')) as [Buffer];
  const port = await open(path.toString().trim(), () => expect.fail('nothing was taken'));
  while (port.write(Buffer.alloc(1000)));
  const startMs = performance.now();
  await port.close();
  expect(performance.now() - startMs).toBeLessThan(5000);
  expect(port.write(Buffer.alloc(1))).toBe(false);
});
