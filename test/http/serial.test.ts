// Serial ports over HTTP: what is asked of the room, and how it is told.
import { afterEach, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors.ts';
import type { SerialEvents, SerialPorts } from '../../src/http/serial.ts';
import { openDoor, type OpenDoor } from './open-http.ts';

let door: OpenDoor | undefined;

afterEach(() => door?.room.close());

async function open(page: Partial<SerialEvents>, send: SerialPorts['send'] = () => undefined) {
  const asked: unknown[] = [];
  const serial: SerialPorts = {
    events(name, from, waitMs) {
      asked.push([name, from, waitMs]);
      return Promise.resolve({ events: [], missed: 0, next: 7, ...page });
    },
    send,
  };
  door = await openDoor({ serial });
  return { asked, ask: door.ask };
}

const JSON_BODY = { method: 'POST', headers: { 'content-type': 'application/json' } };

test('events are JSON lines, with the number to go on from', async () => {
  const data = Buffer.from('hi');
  const events = [
    { atMs: 1, kind: 'received', data, bytes: 2 },
    { atMs: 2, kind: 'record', topic: 't', key: Buffer.from('k'), data, bytes: 9000 },
    { atMs: 3, kind: 'record', topic: 't', key: null, data, bytes: 2 },
    { atMs: 4, kind: 'frame', bytes: 0, way: 'sent', words: 'PING' },
    { atMs: 4, kind: 'state', bytes: 0, state: 'lost', reason: 'gone' },
  ];
  const { ask, asked } = await open({ missed: 3, events });
  const { status, headers, text } = await ask('/serial/boiler%201/events?from=4&wait=99999');
  expect([status, headers['headwater-next']]).toEqual([200, '7']);
  expect(asked).toEqual([['boiler 1', 4, 20_000]]);
  const lines = text.split('\n').slice(0, -1);
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { kind: 'missed', events: 3 },
    { at: 1, kind: 'received', bytes: 2, hex: '6869' },
    { at: 2, kind: 'record', topic: 't', keyHex: '6b', bytes: 9000, hex: '6869' },
    { at: 3, kind: 'record', topic: 't', keyHex: null, bytes: 2, hex: '6869' },
    { at: 4, kind: 'frame', way: 'sent', words: 'PING' },
    { at: 4, kind: 'state', state: 'lost', reason: 'gone' },
  ]);
  expect((await ask('/serial/a/events?from=x')).status).toBe(400);
});

test('bytes are sent, and a refusal is told', async () => {
  const sent: unknown[] = [];
  const { ask } = await open({}, (name, data) => {
    if (name === 'busy') throw new HeadwaterError('PORT_REFUSED', 'too many bytes wait');
    if (name !== 'a') throw new HeadwaterError('PORT_MISSING', 'there is no such port');
    sent.push(data.toString());
  });
  expect((await ask('/serial/a/send', { ...JSON_BODY, body: '{"hex":"6869"}' })).text).toBe('{"sent":2}\n');
  expect(sent).toEqual(['hi']);
  for (const [port, body, status] of [
    ['b', '{"hex":"68"}', 404],
    ['busy', '{"hex":"68"}', 409],
    ['a', '{"hex":"6"}', 400],
    ['a', '{"hex":""}', 400],
    ['a', '{"text":"x"}', 400],
    ['a', '5', 400],
  ] as const) {
    expect((await ask(`/serial/${port}/send`, { ...JSON_BODY, body })).status).toBe(status);
  }
});
