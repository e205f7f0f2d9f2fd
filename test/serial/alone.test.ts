import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { monitorPort, sendToPort, type AloneNeeds } from '../../src/serial/alone.ts';
import { createTrace } from '../../src/trace.ts';
import { fakePorts, type FakePorts } from '../fakes/serial-port.ts';
import { serialPorts, type PortSettings } from '../parts/serial-settings.ts';
import { until } from '../parts/until.ts';

const path = '/dev/ttyUSB0';
const trace = createTrace({ write: () => {} });

function needs(ports: FakePorts, settings: Partial<PortSettings>, signal: AbortSignal): AloneNeeds {
  const [port] = serialPorts({ path, topic: 't', ...settings });
  return { port: port!, clock: systemClock, trace, signal, openPort: ports.openPort };
}

/** What is seen of the port until `isEnough`, each event in a few words. */
async function seen(settings: Partial<PortSettings>, bytes: string, isEnough: (words: string[]) => boolean) {
  const ports = fakePorts();
  const end = new AbortController();
  const words: string[] = [];
  ports.plug(path);
  const monitoring = monitorPort(needs(ports, settings, end.signal), ({ events }) => {
    words.push(...events.map(({ kind, data, state }) => `${kind} ${data?.toString('hex') ?? state}`));
    if (isEnough(words)) end.abort();
    return Promise.resolve();
  });
  await until('the port is open', () => ports.isOpen(path));
  ports.send(path, Buffer.from(bytes, 'hex'));
  await monitoring;
  return { words, ports };
}

test('a port that no node holds is shown with the records of its framing, and is free at the end', async () => {
  const { words, ports } = await seen({ framing: 'fixed', length: 2 }, '0102030405', (all) => all.length > 3);
  expect(words).toEqual(['state open', 'received 0102030405', 'record 0102', 'record 0304']);
  expect(ports.isOpen(path)).toBe(false);
});

test('of a framing that speaks to its device nothing is said: what were acknowledged here would be lost', async () => {
  const { words, ports } = await seen({ framing: 'bridge' }, '010200', (all) => all.length > 2);
  expect(words).toEqual(['state open', 'received 010200', 'record 010200']);
  expect(ports.sent(path)).toHaveLength(0);
});

test('a port that cannot be opened is told at once, with the reason', async () => {
  const ports = fakePorts();
  const { signal } = new AbortController();
  const show = (): Promise<void> => expect.fail('there is nothing to show');
  await expect(monitorPort(needs(ports, {}, signal), show)).rejects.toMatchObject({ code: 'PORT_MISSING' });
  ports.plug(path);
  ports.refuse(path, 'in use by another process');
  await expect(monitorPort(needs(ports, {}, signal), show)).rejects.toMatchObject({ code: 'PORT_REFUSED' });
  ports.refuse(path, 'permission denied: the user must be in a group');
  await expect(sendToPort(needs(ports, {}, signal), Buffer.from('x'))).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
});

test('bytes are sent to a port that no node holds, and it is closed', async () => {
  const ports = fakePorts();
  ports.plug(path);
  await sendToPort(needs(ports, {}, new AbortController().signal), Buffer.from('ping'));
  expect(ports.sent(path).toString()).toBe('ping');
  expect(ports.isOpen(path)).toBe(false);
});
