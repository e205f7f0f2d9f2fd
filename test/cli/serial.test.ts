// serial list, monitor and send: through a node that holds the port, and without one.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listSerial } from '../../src/cli/serial-list.ts';
import { systemClock } from '../../src/clock.ts';
import { openIntake } from '../../src/intake/intake.ts';
import { openSerial, type PluggedPort, type Serial } from '../../src/serial/serial.ts';
import { createTrace } from '../../src/trace.ts';
import { gatherLog } from '../fakes/gather-log.ts';
import { fakePorts, type FakePorts } from '../fakes/serial-port.ts';
import { openDoor, STATUS, type OpenDoor } from '../http/open-http.ts';
import { serialPorts } from '../parts/serial-settings.ts';
import { until } from '../parts/until.ts';
import { run, type Ran, type Surroundings } from './run-cli.ts';

const PATH = '/dev/serial/by-id/usb-boiler';
const MODBUS = '/dev/ttyMODBUS';
let door: OpenDoor;
let ports: FakePorts;
let serial: Serial;

beforeEach(async () => {
  ports = fakePorts();
  ports.plug(PATH);
  const fake = gatherLog();
  const trace = createTrace({ write: () => {} });
  const clock = systemClock;
  const intake = openIntake({ log: fake.log, routes: [], nodeName: 'n', clock, trace });
  fake.commitByItself(true);
  const settings = serialPorts({ path: PATH, name: 'boiler', topic: 'heat' }, { path: '/dev/away', topic: 'away' });
  serial = await openSerial({ ports: settings, intake, clock, trace, openPort: ports.openPort });
  door = await openDoor({ serial, status: () => ({ ...STATUS, rooms: { serial: serial.status() } }) });
  await until('the port is open', () => serial.status()[0]?.state === 'open');
});

afterEach(async () => {
  await door.room.close();
  await serial.close();
});

function cli(args: string[], given: Surroundings = {}): Promise<Ran> {
  const env = { HEADWATER_URL: `http://127.0.0.1:${door.room.address.port}` };
  return run(['serial', ...args], { ...given, env });
}

/** The command on the port, while `happen` is done again and again, until its output has what `isEnough` wants. */
async function monitor(args: string[], happen: () => void, isEnough: (out: string) => boolean): Promise<Ran> {
  const end = new AbortController();
  const happening = setInterval(happen, 50);
  const ran = await cli(['monitor', ...args], {
    signal: end.signal,
    onOut: (out) => void (isEnough(out) && end.abort()),
  });
  clearInterval(happening);
  return ran;
}

test('a port of the node is shown through the node, in hex and as text, with its records', async () => {
  const { out, code } = await monitor(
    ['boiler'],
    () => ports.send(PATH, 't=21.5\r\n'),
    (text) => text.includes('='),
  );
  expect(code).toBe(130);
  expect(out).toMatch(/^[\d:.]{12} < 74 3d 32 31 2e 35 0d 0a {26}t=21\.5\.\.$/m);
  expect(out).toMatch(/^[\d:.]{12} = heat boiler: t=21\.5$/m);
});

test('as JSON, and by the path of its device; what is sent is shown, too', async () => {
  const { out } = await monitor(
    ['-o', 'json', PATH],
    () => serial.send('boiler', Buffer.from('ping')),
    (text) => text.includes('sent'),
  );
  expect(JSON.parse(out.split('\n')[0]!)).toEqual({
    at: expect.any(Number) as number,
    kind: 'sent',
    bytes: 4,
    hex: '70696e67',
  });
});

test('a frame of a protocol is shown in words, with nothing that a terminal would act on', async () => {
  const words = 'CHANNEL 0 is le\u009bvel';
  const page = {
    events: [{ atMs: 0, kind: 'frame' as const, way: 'sent' as const, words, bytes: 0 }],
    missed: 0,
    next: 1,
  };
  serial.events = () => Promise.resolve(page);
  const { out } = await monitor(
    ['boiler'],
    () => undefined,
    (text) => text.includes('#'),
  );
  expect(out.split('\n')[0]).toBe('00:00:00.000 # > CHANNEL 0 is le\\x9bvel');
});

test('bytes are sent through the node, as text with escapes or as hex', async () => {
  expect(await cli(['send', 'boiler', 'status?\\r\\n°\\x00\\\\'])).toEqual({ code: 0, out: '', err: '' });
  expect(ports.sent(PATH)).toEqual(Buffer.concat([Buffer.from('status?\r\n°'), Buffer.from([0, 0x5c])]));
  const { out } = await cli(['send', 'boiler', '--hex', '7e 01:FF', '-o', 'json']);
  expect(JSON.parse(out)).toEqual({ port: 'boiler', bytes: 3, through: 'node' });
  expect(ports.sent(PATH).toString('hex')).toBe('7e01ff');
});

test.each([
  [['send', 'away', 'x'], 75, /serial port away: the port is missing: no such device/],
  [['send', 'boiler', '--hex', '7'], 2, /--hex takes bytes/],
  [['send', 'boiler', 'a\\q'], 2, /\\q is no escape/],
  [['send', 'boiler', ''], 2, /nothing to send/],
  [['send', '/dev/headwater-is-not-there', 'x'], 4, /no such device; `headwater serial list`/],
  [['monitor', 'headwater-is-not-there'], 4, /^headwater: \/dev\/headwater-is-not-there: no such device/],
  [['send', '/dev/null', 'x'], 75, /not a serial device/],
])('%j ends with %d and says what to do', async (args, code, message) => {
  const ran = await cli(args);
  expect(ran.err).toMatch(message);
  expect(ran.code).toBe(code);
});

test('status shows each port in words', async () => {
  const port = { name: 'boiler', path: PATH, framing: 'lines', sinceSeconds: 65, openings: 2, bytes: 9, received: 9 };
  const serial = [
    {
      ...port,
      state: 'lost',
      records: 1,
      overlong: 3,
      invalid: 0,
      heardSeconds: 61,
      problems: ['lost for 1m 5s: gone'],
    },
  ];
  const other = await openDoor({ status: () => ({ ...STATUS, serial }) });
  const { out } = await run(['status', '--url', `http://127.0.0.1:${other.room.address.port}`]);
  await other.room.close();
  expect(out).toContain(`
serial
  PORT    FRAMING  HEARD      OVERLONG  INVALID  OPENINGS  DEVICE
  boiler  lines    1m 1s ago         3        0         2  ${PATH}
  ! boiler: lost for 1m 5s: gone
`);
});

test('what is plugged in is listed with its user, and what is free with its lines to paste', async () => {
  const usb = { vid: '2341', pid: '0043', serial: 'A1', product: 'Arduino Uno' };
  const plugged: PluggedPort[] = [
    { name: 'ttyACM0', path: PATH, usb, users: [{ pid: 1, command: 'node' }], config: { path: PATH } },
    {
      name: 'ttyUSB0',
      path: MODBUS,
      usb: { vid: '1a86', pid: '7523' },
      users: [],
      config: { usb: { vid: '1a86', pid: '7523' } },
    },
    { name: 'ttyS0', path: '/dev/ttyS0', users: [{ pid: 7, command: 'screen' }], config: { path: '/dev/ttyS0' } },
  ];
  const ran = { out: '', err: '' };
  const terminal = (env: Record<string, string>) => ({
    in: process.stdin,
    out: { write: (text: string) => (ran.out += text) !== '', once: () => undefined },
    err: { write: (text: string) => (ran.err += text) !== '', once: () => undefined },
    env,
    clock: systemClock,
    signal: new AbortController().signal,
  });
  const url = `http://127.0.0.1:${door.room.address.port}`;
  const list = (): Promise<PluggedPort[]> => Promise.resolve(plugged);
  expect(await listSerial({ output: 'text' }, terminal({ HEADWATER_URL: url }), list)).toBe(0);
  expect(ran).toEqual({
    err: '',
    out: `PORT     DEVICE                           USED BY
ttyACM0  2341:0043 serial A1 Arduino Uno  headwater, as boiler (open)
ttyUSB0  1a86:7523                        -
ttyS0    -                                screen (7)

for headwater.yaml, with a topic of your choice:

serial:
  - usb:
      vid: 1a86
      pid: "7523"
    topic: ttyusb0
  - path: /dev/ttyS0
    topic: ttys0
`,
  });
  ran.out = '';
  expect(await listSerial({ output: 'json' }, terminal({ HEADWATER_URL: 'http://127.0.0.1:9' }), list)).toBe(0);
  expect(JSON.parse(ran.out)).toEqual(plugged);
});
