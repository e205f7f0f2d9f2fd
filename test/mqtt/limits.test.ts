import { afterEach, expect, test } from 'vitest';
import { openRoom, settleDown, until, type TestRoom } from './room.ts';
import type { RawClient } from './raw-client.ts';

let given: TestRoom;
afterEach(() => given.close());

const PUBLISH_AFTER_CONNECT: [what: string, bytes: string][] = [
  ['an empty topic', '30 03 0000 31'],
  ['a plus sign', '30 04 0001 2b 31'],
  ['a number sign', '30 06 0003 612f23 31'],
  ['a NUL', '30 05 0002 6100 31'],
  ['a control character', '30 05 0002 1b61 31'],
  ['a C1 control character', '30 06 0003 c28561 31'],
  ['a topic that is the server’s', '30 09 0006 245359532f61 31'],
  ['bytes that are not UTF-8', '30 05 0002 c328 31'],
  ['a surrogate in UTF-8', '30 06 0003 eda080 31'],
  ['a topic beyond the end of the packet', '30 04 00ff 61 31'],
  ['no room for a topic', '30 01 00'],
  ['no room for a packet id', '32 03 0001 61'],
  ['packet id 0', '32 05 0001 61 0000'],
  ['QoS 3', '36 05 0001 61 0001'],
  ['dup on QoS 0', '38 04 0001 61 31'],
];

test.each(PUBLISH_AFTER_CONNECT)('a PUBLISH with %s closes the connection and leaves nothing', async (_what, bytes) => {
  given = await openRoom();
  const client = await given.connect();
  client.sendBytes(bytes);
  await client.whenClosed();
  expect(client.cmds()).toEqual([]);
  expect(given.intake.waiting).toBe(0);
  const { malformed = 0, topic = 0 } = given.room.status().refused;
  expect(malformed + topic).toBe(1);
});

const OTHERS: [what: string, bytes: string][] = [
  ['a second CONNECT', '10 0f 0004 4d515454 04 02 0000 0003 616263'],
  ['a packet for clients', '20 02 00 00'],
  ['reserved type 0', '00 00'],
  ['reserved type 15', 'f0 00'],
  ['SUBSCRIBE with wrong flags', '80 06 0001 0001 61 00'],
  ['SUBSCRIBE without a filter', '82 02 0001'],
  ['SUBSCRIBE with packet id 0', '82 06 0000 0001 61 00'],
  ['SUBSCRIBE with QoS 3', '82 06 0001 0001 61 03'],
  ['SUBSCRIBE cut short', '82 05 0001 0005 61'],
  ['SUBSCRIBE to a#', '82 07 0001 0002 6123 00'],
  ['SUBSCRIBE to #/a', '82 08 0001 0003 232f61 00'],
  ['SUBSCRIBE to a control character', '82 06 0001 0001 07 00'],
  ['UNSUBSCRIBE without a filter', 'a2 02 0001'],
  ['PUBREL with wrong flags', '60 02 0001'],
  ['PUBACK of three bytes', '40 03 0001 00'],
  ['PINGREQ with a body', 'c0 01 00'],
  ['a remaining length of five bytes', 'c0 ffffffff01'],
];

test.each(OTHERS)('%s closes the connection', async (_what, bytes) => {
  given = await openRoom();
  const client = await given.connect();
  client.sendBytes(bytes);
  await client.whenClosed();
  expect(given.room.status().refused).not.toEqual({});
});

test('a packet larger than allowed is refused by its header, before its body', async () => {
  given = await openRoom({ packetBytesMax: 1000 });
  const client = await given.connect();
  client.sendBytes('30 ffffff7f');
  await client.whenClosed();
  expect(given.room.status().refused).toEqual({ oversized: 1 });
});

test('a packet as large as allowed is taken, in however many pieces it comes', async () => {
  given = await openRoom({ packetBytesMax: 1000 });
  given.intake.isAutomatic = true;
  const client = await given.connect();
  const payload = 'x'.repeat(1000 - 3 - 5);
  const packet = Buffer.concat([Buffer.from('32e5070001610001', 'hex'), Buffer.from(payload)]);
  expect(packet).toHaveLength(1000);
  for (const part of [packet.subarray(0, 1), packet.subarray(1, 2), packet.subarray(2, 7), packet.subarray(7)]) {
    client.sendBytes(part);
    await settleDown(1);
  }
  await client.next('puback');
  expect(given.intake.values).toEqual([payload]);
});

test('packets that are never finished are bounded over all connections', async () => {
  given = await openRoom({ partialBytesMax: 50_000, packetBytesMax: 200_000 });
  const [one, two] = [await given.connect({ clientId: 'one' }), await given.connect({ clientId: 'two' })];
  const part = Buffer.concat([Buffer.from('30a08d06', 'hex'), Buffer.alloc(40_000)]);
  one.sendBytes(part);
  await settleDown();
  two.sendBytes(part);
  await two.whenClosed();
  expect(one.isClosed).toBe(false);
  expect(given.room.status().refused).toEqual({ memory: 1 });
  one.hangUp();
  await until(() => given.room.status().clients === 0);
  const three = await given.connect({ clientId: 'three' });
  three.sendBytes(part);
  await settleDown();
  expect(three.isClosed).toBe(false);
});

test('a PUBLISH before CONNECT closes the connection', async () => {
  given = await openRoom();
  const client = await given.dial();
  client.publish('a', 'one');
  await client.whenClosed();
  expect(given.intake.waiting).toBe(0);
});

test('packets sent right behind CONNECT wait for CONNACK and are taken then', async () => {
  given = await openRoom();
  given.intake.isAutomatic = true;
  const client = await given.dial();
  client.sendConnect();
  for (let id = 1; id <= 200; id++) client.publish('a', String(id), 1, id);
  await until(() => client.received.length === 201);
  expect(client.cmds()[0]).toBe('connack');
  expect(given.intake.values).toHaveLength(200);
});

test('a connection without CONNECT ends after the timeout', async () => {
  given = await openRoom({ connectTimeoutMs: 3000 });
  const client = await given.dial();
  await until(() => given.room.status().clients === 1);
  given.clock.advance(3000);
  await settleDown();
  expect(client.isClosed).toBe(false);
  given.clock.advance(2000);
  await client.whenClosed();
});

test('a silent client is closed after one and a half times its keep alive, a pinging one is not', async () => {
  given = await openRoom();
  const silent = await given.connect({ clientId: 'silent', keepalive: 10 });
  const pinging = await given.connect({ clientId: 'pinging', keepalive: 10 });
  given.clock.advance(10_000);
  pinging.send({ cmd: 'pingreq' });
  await pinging.next('pingresp');
  given.clock.advance(7_000);
  await silent.whenClosed();
  expect(pinging.isClosed).toBe(false);
});

test('a client that publishes is not silent', async () => {
  given = await openRoom();
  given.intake.isAutomatic = true;
  const client = await given.connect({ keepalive: 10 });
  for (let id = 1; id <= 5; id++) {
    given.clock.advance(9000);
    client.publish('a', 'x', 1, id);
    await client.next('puback');
  }
  expect(client.isClosed).toBe(false);
});

test('one connection more than allowed is closed at once', async () => {
  given = await openRoom({ clientsMax: 1 });
  await given.connect();
  const second = await given.dial();
  await second.whenClosed();
  expect(given.room.status()).toMatchObject({ clients: 1, refused: { clients: 1 } });
});

const CONNECTS: [what: string, bytes: string, answer: string][] = [
  ['MQTT 5', '10 10 0004 4d515454 05 02 0000 00 0003 616263', '20020001'],
  ['an unknown level', '10 0f 0004 4d515454 09 02 0000 0003 616263', '20020001'],
  ['a client id with a control character', '10 0f 0004 4d515454 04 02 0000 0003 610a63', '20020002'],
  ['no client id for a session that is kept', '10 0c 0004 4d515454 04 00 0000 0000', '20020002'],
  ['an unknown protocol', '10 0f 0004 4d515455 04 02 0000 0003 616263', ''],
  ['the reserved flag', '10 0f 0004 4d515454 04 03 0000 0003 616263', ''],
  ['a password without a user name', '10 12 0004 4d515454 04 42 0000 0003 616263 0001 61', ''],
  ['bytes behind its end', '10 10 0004 4d515454 04 02 0000 0003 616263 00', ''],
  ['a will for a wildcard', '10 15 0004 4d515454 04 06 0000 0003 616263 0001 2b 0001 31', ''],
];

test.each(CONNECTS)('a CONNECT with %s is refused', async (_what, bytes, answer) => {
  given = await openRoom();
  const client = await given.dial();
  const answered: Buffer[] = [];
  client.socket.on('data', (chunk: Buffer) => answered.push(chunk));
  client.sendBytes(bytes);
  await client.whenClosed();
  expect(Buffer.concat(answered).toString('hex')).toBe(answer);
  expect(given.room.status().refused).toEqual({ connect: 1 });
});

test('long client ids are taken up to the bound', async () => {
  given = await openRoom({ clientIdBytesMax: 64 });
  await given.connect({ clientId: 'x'.repeat(64) });
  const client = await given.dial();
  client.sendConnect({ clientId: 'x'.repeat(65) });
  expect(await client.next('connack')).toMatchObject({ returnCode: 2 });
});

test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('%s is a name like any other', async (name) => {
  given = await openRoom();
  given.intake.isAutomatic = true;
  const client = await given.connect({ clientId: name, clean: false });
  await client.subscribe(`${name}/#`, 1);
  await client.subscribe(name, 1);
  client.publish(`${name}/${name}`, 'one', 2, 1);
  expect(String((await client.next('publish')).payload)).toBe('one');
  await client.next('pubrec');
  given = await given.crash();
  const again = await given.connect({ clientId: name, clean: false });
  expect(String((await again.next('publish')).payload)).toBe('one');
  expect(given.room.status().sessions).toBe(1);
});

test('a connection may not subscribe to more than allowed, and goes on', async () => {
  given = await openRoom({ subscriptionsMax: 3 });
  const client = await given.connect();
  await client.subscribe('a');
  const filters = ['b', 'c', 'd'].map((topic) => ({ topic, qos: 1 as const }));
  client.send({ cmd: 'subscribe', messageId: 3, subscriptions: filters });
  expect(await client.next('suback')).toMatchObject({ messageId: 3, granted: [128, 128, 128] });
  client.send({ cmd: 'subscribe', messageId: 4, subscriptions: filters.slice(1) });
  expect(await client.next('suback')).toMatchObject({ messageId: 4, granted: [1, 1] });
});

test('a session more than allowed is refused, clean ones are not', async () => {
  given = await openRoom({ sessionsMax: 1 });
  await given.connect({ clientId: 'one', clean: false });
  const two = await given.dial();
  two.sendConnect({ clientId: 'two', clean: false });
  expect(await two.next('connack')).toMatchObject({ returnCode: 3 });
  await given.connect({ clientId: 'two', clean: true });
});

test('bytes that make no sense, in any pieces, end their connection and nothing else', async () => {
  given = await openRoom();
  given.intake.isAutomatic = true;
  const witness = await given.connect({ clientId: 'witness' });
  const seed = Math.trunc(Math.random() * 2 ** 32);
  const random = mulberry(seed);
  for (let round = 0; round < 150; round++) {
    const client: RawClient = await given.dial();
    if (random() < 0.7) client.sendConnect({ clientId: `fuzz${round % 7}`, clean: random() < 0.5 });
    const bytes = Buffer.from(Array.from({ length: Math.trunc(random() * 60) }, () => Math.trunc(random() * 256)));
    if (bytes.length > 1 && random() < 0.8) bytes[1] = bytes.length - 2;
    client.sendBytes(bytes);
    await settleDown(1);
    client.hangUp();
  }
  witness.publish('a', 'still here', 1, 1);
  await witness.next('puback');
  expect(given.intake.values.at(-1), `seed ${seed}`).toBe('still here');
});

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
