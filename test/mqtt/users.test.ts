import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTrace } from '../../src/trace.ts';
import { RawClient, type ConnectOptions } from './raw-client.ts';
import { openRoom, until, type TestRoom } from './room.ts';

let room: TestRoom;
let lines: string[];
let password: string;
const clients: RawClient[] = [];

beforeEach(async () => {
  lines = [];
  password = 'right-one';
  const trace = createTrace({ write: (line) => void lines.push(line) });
  room = await openRoom({}, {}, { users: [{ name: 'sensor', password: () => password }], trace });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.hangUp();
  await room.close();
});

async function returnCodeOf(options: ConnectOptions): Promise<number | undefined> {
  const client = await RawClient.dial(room.room.port);
  clients.push(client);
  client.sendConnect(options);
  await until(() => client.received.length > 0, 'an answer');
  const [first] = client.received;
  return first?.cmd === 'connack' ? first.returnCode : undefined;
}

function as(username: string, secret: string): ConnectOptions {
  return { username, password: Buffer.from(secret) };
}

test('who knows the password is let in', async () => {
  expect(await returnCodeOf(as('sensor', 'right-one'))).toBe(0);
});

test.each([
  ['no user name', {}],
  ['no password', { username: 'sensor' }],
  ['a wrong password', as('sensor', 'wrong-one')],
  ['the beginning of the password', as('sensor', 'right-on')],
  ['an empty password', as('sensor', '')],
  ['another name', as('sensors', 'right-one')],
  ['the password as name', as('right-one', 'sensor')],
])('a client with %s gets return code 4 and is hung up on, and neither part is named', async (_, options) => {
  expect(await returnCodeOf(options)).toBe(4);
  await until(() => clients[0]!.isClosed, 'the end');
  expect(room.room.status().refused).toEqual({ credentials: 1 });
  expect(lines.filter((line) => line.includes('refused: credentials'))).toHaveLength(1);
  expect(lines.join('\n')).toContain('bad user name or password');
  expect(lines.join('\n')).not.toMatch(/right-on|wrong-one|sensor/);
});

test('who is refused touches nobody else: a client of the same id goes on', async () => {
  expect(await returnCodeOf({ clientId: 'twin', ...as('sensor', 'right-one') })).toBe(0);
  expect(await returnCodeOf({ clientId: 'twin', ...as('sensor', 'wrong-one') })).toBe(4);
  expect(clients[0]!.isClosed).toBe(false);
  clients[0]!.send({ cmd: 'pingreq' });
  expect((await clients[0]!.next('pingresp')).cmd).toBe('pingresp');
});

test('a password that is changed counts a second later', async () => {
  password = 'next-one';
  room.clock.advance(1000);
  expect(await returnCodeOf({ clientId: 'a', ...as('sensor', 'right-one') })).toBe(4);
  expect(await returnCodeOf({ clientId: 'b', ...as('sensor', 'next-one') })).toBe(0);
});

test('many who try are counted all, and logged a few times', async () => {
  for (let turn = 0; turn < 30; turn += 1) expect(await returnCodeOf(as('sensor', `wrong-${turn}`))).toBe(4);
  expect(room.room.status().refused).toEqual({ credentials: 30 });
  expect(lines.length).toBe(10);
});
