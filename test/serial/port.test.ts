import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openSerialPort, type Refusal } from '../../src/serial/port.ts';
import { portConfigs } from '../../src/serial/settings.ts';
import { serialPorts } from '../parts/serial-settings.ts';

async function refusal(path: string): Promise<Refusal> {
  const [config] = portConfigs(serialPorts({ path, topic: 't' }));
  const listener = {
    onData: () => expect.fail(),
    onLost: () => expect.fail(),
    onDrained: () => expect.fail(),
    lull: () => 0,
  };
  const opened = await openSerialPort(config!, listener, systemClock);
  if (!('kind' in opened)) throw new Error('it was opened');
  return opened;
}

test('a path without a device is missing', async () => {
  expect(await refusal('/dev/headwater-is-not-there')).toEqual({ kind: 'missing', message: 'no such device' });
  expect((await refusal('/dev/null/below-a-file')).kind).toBe('missing');
});

test('a file that is no serial device is refused by the operating system, with a reason', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-port-'));
  const path = join(folder, 'file');
  await writeFile(path, 'no device');
  expect(await refusal(path)).toEqual({ kind: 'refused', message: 'not a serial device' });
  await rm(folder, { recursive: true });
});
