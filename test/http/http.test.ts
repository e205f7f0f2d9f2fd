// The HTTP door itself: health, status, page, who may ask, and what a bad client costs.
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors.ts';
import { until } from '../parts/until.ts';
import { JSON_BODY, openDoor, STATUS, type OpenDoor } from './open-http.ts';

let door: OpenDoor;
let ready = { ok: true, reasons: [] as string[] };
let status = STATUS;

beforeEach(async () => {
  ready = { ok: true, reasons: [] };
  status = STATUS;
  door = await openDoor({ ready: () => ready, status: () => status, hosts: ['pump-7.local'] });
});

afterEach(() => door.room.close());

describe('health and status', () => {
  test('live and ready say ok, and ready says why not with 503', async () => {
    expect((await door.ask('/health/live')).status).toBe(200);
    expect((await door.ask('/health/ready')).json).toEqual({ ok: true, reasons: [] });
    ready = { ok: false, reasons: ['the card refuses writes: ENOSPC'] };
    const reply = await door.ask('/health/ready');
    expect(reply.status).toBe(503);
    expect(reply.json).toEqual(ready);
  });

  test('status is JSON, and HEAD has its headers only', async () => {
    expect((await door.ask('/status')).json).toEqual(STATUS);
    const head = await door.ask('/status', { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect(Number(head.headers['content-length'])).toBeGreaterThan(100);
  });

  test('what is not there is 404, the wrong method is 405 and says which is right', async () => {
    expect((await door.ask('/nothing')).status).toBe(404);
    expect((await door.ask('/topics/%ff')).status).toBe(404);
    const reply = await door.ask('/status', { method: 'DELETE' });
    expect([reply.status, reply.headers.allow]).toEqual([405, 'GET']);
  });

  test('a fault of headwater is a 500 whose words stay in the log', async () => {
    const broken = await openDoor({
      status: () => {
        throw new Error('secret detail');
      },
    });
    const reply = await broken.ask('/status');
    expect(reply.status).toBe(500);
    expect(reply.text).not.toContain('secret');
    expect(broken.lines.join()).toContain('secret detail');
    await broken.room.close();
  });
});

describe('the page', () => {
  test('it answers the three questions, and takes nothing from elsewhere', async () => {
    const { text, headers } = await door.ask('/');
    for (const question of ['Is data coming in?', 'Is it safe?', 'Is it leaving?']) expect(text).toContain(question);
    expect(text).toContain('10.9&nbsp;years, 3.7&nbsp;GiB a day');
    expect(text).not.toMatch(/(src|href)="https?:/);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
  });

  test('names that could be markup are text', async () => {
    status = { ...STATUS, node: '<script>', doors: [{ name: '<b>', state: 'open', records: 1, bytes: 1 }] };
    const { text } = await door.ask('/');
    expect(text).toContain('1&nbsp;record, 1&nbsp;B');
    expect(text).toContain('&lt;script&gt;');
    expect((await door.ask('/cards')).text).toContain('&lt;b&gt;');
  });

  test('a failing card and a mirror with a problem are seen', async () => {
    const backlog = { records: 12, bytes: 3400, ageSeconds: 61 };
    const mirror = {
      name: 'dc',
      state: 'unreachable',
      records: 0,
      bytes: 0,
      backlog,
      problems: ['dc does not answer'],
    };
    const health = { ok: false, reasons: ['the card is full'] };
    status = { ...STATUS, health, mirrors: [mirror] };
    const { text } = await door.ask('/cards');
    for (const said of [
      'the card is full',
      'dc does not answer',
      'waiting: 12&nbsp;records, 3.3&nbsp;KiB, the oldest for 1m 1s',
    ]) {
      expect(text).toContain(said);
    }
    expect(text.match(/class="bad"/g)).toHaveLength(2);
  });

  test('a clock that nobody has set is seen', async () => {
    expect((await door.ask('/cards')).text).toContain('synchronised');
    status = { ...STATUS, clock: { ...STATUS.clock, state: 'unsure', unsureRecords: 12 } };
    expect((await door.ask('/cards')).text).toContain('not set yet: 12&nbsp;records wait for the right time');
  });
});

describe('who may ask', () => {
  test.each(['localhost', '127.0.0.1:8880', '[::1]:8880', '192.168.1.5', 'PUMP-7.local:80'])(
    'a request for %s is answered',
    async (host) => {
      expect((await door.ask('/health/live', { headers: { host } })).status).toBe(200);
    },
  );

  test.each([
    'evil.example',
    'evil.example:8880',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost:evil',
  ])('a request for %j is refused, because a rebound name would bring it here', async (host) => {
    expect((await door.ask('/status', { headers: { host } })).status).toBe(421);
  });

  test('a change that a page of another site caused is refused, one of our own page is not', async () => {
    const body = '{"name":"a"}';
    const foreign = { ...JSON_BODY, origin: 'http://evil.example' };
    expect((await door.ask('/topics', { method: 'POST', headers: foreign, body })).status).toBe(403);
    const own = { ...JSON_BODY, host: 'localhost:1', origin: 'http://localhost:1' };
    expect((await door.ask('/topics', { method: 'POST', headers: own, body })).status).toBe(201);
  });

  test('a body that a form could send is refused', async () => {
    const reply = await door.ask('/topics', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' });
    expect(reply.status).toBe(400);
  });
});

describe('bad clients', () => {
  test('headers without end, and bytes that are not HTTP, end their connection only', async () => {
    for (const bytes of [
      `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
      '\x00\x01\x02\r\n\r\n',
    ]) {
      const socket = connect(door.room.address.port, '127.0.0.1');
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => undefined);
      socket.resume();
      socket.write(bytes);
      await closed;
    }
    expect((await door.ask('/health/live')).status).toBe(200);
  });

  test('a body above the limit is refused', async () => {
    door.log.ensureTopic('a');
    const body = `{"value":"${'x'.repeat(2_200_000)}"}`;
    const reply = await door
      .ask('/topics/a/records', { method: 'POST', headers: JSON_BODY, body })
      .catch(() => undefined);
    // The connection may be closed under the client that still sends; what counts is that nothing was kept.
    expect([413, undefined]).toContain(reply?.status);
    expect(door.log.partition('a').highWatermark).toBe(0);
  });

  test('more connections than allowed are turned away, and room is made again', async () => {
    const sockets = Array.from({ length: 80 }, () => connect(door.room.address.port, '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => undefined);
    const closed = (): number => sockets.filter((socket) => socket.closed).length;
    await until('those above the limit are closed', () => closed() === 16);
    expect(door.room.status().connections).toBe(64);
    for (const socket of sockets) socket.destroy();
    await until('all are gone', () => door.room.status().connections === 0);
    expect((await door.ask('/health/live')).status).toBe(200);
  });

  test('a card that refuses writes is told as 503 with a time to come back', async () => {
    door.log.ensureTopic('a');
    door.log.failAppends(new HeadwaterError('STORE_UNAVAILABLE', 'the card refuses writes'));
    const reply = await door.ask('/topics/a/records', { method: 'POST', headers: JSON_BODY, body: '{"value":"x"}' });
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
    expect(reply.json).toEqual({ error: 'STORE_UNAVAILABLE', message: 'the card refuses writes' });
  });
});

test('closing ends requests that wait, and frees the port', async () => {
  door.log.ensureTopic('a');
  const waiting = door.ask('/topics/a/partitions/0/records?wait=30000');
  await until('the request waits', () => door.log.partition('a').listeners.size > 0);
  const { port } = door.room.address;
  await door.room.close();
  expect((await waiting).status).toBe(200);
  const again = await openDoor({ listen: { host: '127.0.0.1', port } });
  expect(again.room.address.port).toBe(port);
  await again.room.close();
});

test('a port that is taken is told by its error', async () => {
  await expect(openDoor({ listen: door.room.address })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
