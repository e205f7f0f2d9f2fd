import { connect, connectAsync } from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { openRoom, settleDown, until, type TestRoom } from './room.ts';
import type { RawClient } from './raw-client.ts';

let given: TestRoom;
afterEach(() => given.close());

const SUB = { clientId: 'sub', clean: false };

/** Payloads of the next `count` messages, each acknowledged. */
async function readAll(client: RawClient, count: number): Promise<string[]> {
  const payloads: string[] = [];
  while (payloads.length < count) {
    const { payload, qos, messageId } = await client.next('publish');
    payloads.push(String(payload));
    if (qos === 1) client.send({ cmd: 'puback', messageId: messageId! });
  }
  return payloads;
}

async function open(limits = {}): Promise<TestRoom> {
  const room = await openRoom(limits);
  room.intake.isAutomatic = true;
  return room;
}

test('messages reach subscribers of all kinds once, with the lower of both QoS', async () => {
  given = await open();
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('a/+', 1);
  await client.subscribe('a/b', 1);
  const publisher = await given.connect({ clientId: 'pub' });
  for (const qos of [0, 1, 2] as const) publisher.publish('a/b', `qos ${qos}`, qos, 10 + qos);
  const seen: [string, number][] = [];
  for (let index = 0; index < 3; index++) {
    const { payload, qos } = await client.next('publish');
    seen.push([String(payload), qos]);
  }
  await settleDown();
  expect(seen.toSorted((left, right) => left[0].localeCompare(right[0]))).toEqual([
    ['qos 0', 0],
    ['qos 1', 1],
    ['qos 2', 1],
  ]);
  expect(client.cmds()).toEqual([]);
});

test('a message that no route takes still reaches subscribers', async () => {
  given = await open();
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('#', 1);
  const publisher = await given.connect({ clientId: 'pub' });
  publisher.publish('unrouted/a', 'one', 1, 1);
  expect(await client.next('publish')).toMatchObject({ topic: 'unrouted/a', qos: 1 });
  await publisher.next('puback');
  expect(given.intake.values).toEqual([]);
});

test('a subscription counts for what its client publishes right behind it', async () => {
  given = await open();
  const client = await given.connect(SUB);
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] });
  client.publish('a', 'one', 0);
  expect(String((await client.next('publish')).payload)).toBe('one');
});

test('messages for a client that is away wait on the card and outlive a crash, in order', async () => {
  given = await open();
  const client = await given.connect(SUB);
  await client.subscribe('a/#', 1);
  client.hangUp();
  await until(() => given.room.status().clients === 0);
  const publisher = await given.connect({ clientId: 'pub' });
  const sent = Array.from({ length: 300 }, (_, index) => `m${index}`);
  for (const [index, payload] of sent.entries()) publisher.publish('a/b', payload, 1, index + 1);
  await until(() => publisher.received.length === 300);
  given = await given.crash();
  given.intake.isAutomatic = true;
  expect(given.room.status().queued.messages).toBe(300);
  const again = await given.dial();
  again.sendConnect(SUB);
  expect(await again.next('connack')).toMatchObject({ sessionPresent: true });
  expect(await readAll(again, 300)).toEqual(sent);
  await until(() => given.room.status().queued.messages === 0);
  given.clock.advance(1000);
  await settleDown();
  expect([...given.tables.rows.keys()].filter((key) => key.startsWith('mqttqueue'))).toEqual([]);
});

test('PUBACK waits for the queue of a subscriber that is away', async () => {
  given = await open();
  const client = await given.connect(SUB);
  await client.subscribe('a', 1);
  client.hangUp();
  const publisher = await given.connect({ clientId: 'pub' });
  let openGate: () => void = () => undefined;
  given.tables.gate = new Promise((resolve) => (openGate = resolve));
  publisher.publish('a', 'one', 1, 1);
  await until(() => given.intake.values.length === 1);
  await settleDown();
  expect(publisher.cmds()).toEqual([]);
  openGate();
  await publisher.next('puback');
});

test('what was sent and not acknowledged comes again with its packet id and the dup flag', async () => {
  given = await open();
  const client = await given.connect(SUB);
  await client.subscribe('a', 2);
  const publisher = await given.connect({ clientId: 'pub' });
  publisher.publish('a', 'one', 1, 1);
  publisher.publish('a', 'two', 2, 2);
  const first = await client.next('publish');
  const second = await client.next('publish');
  client.hangUp();
  await until(() => given.room.status().clients === 1);
  const again = await given.connect(SUB);
  expect(await again.next('publish')).toMatchObject({ dup: true, messageId: first.messageId, qos: 1 });
  expect(await again.next('publish')).toMatchObject({ dup: true, messageId: second.messageId, qos: 2 });
});

test('a QoS 2 delivery goes on where a crash cut it: PUBREL, not PUBLISH', async () => {
  given = await open();
  const client = await given.connect(SUB);
  await client.subscribe('a', 2);
  const publisher = await given.connect({ clientId: 'pub' });
  publisher.publish('a', 'one', 2, 1);
  const { messageId } = await client.next('publish');
  client.send({ cmd: 'pubrec', messageId: messageId! });
  await client.next('pubrel');
  given = await given.crash();
  const again = await given.connect(SUB);
  expect(await again.next('pubrel')).toMatchObject({ messageId });
  again.send({ cmd: 'pubcomp', messageId: messageId! });
  await until(() => given.room.status().queued.messages === 0);
  expect(again.cmds()).toEqual([]);
});

test('messages that come while a queue is replayed come after it, once', async () => {
  given = await open();
  const client = await given.connect(SUB);
  await client.subscribe('a', 1);
  client.hangUp();
  const publisher = await given.connect({ clientId: 'pub' });
  const sent = Array.from({ length: 400 }, (_, index) => `m${index}`);
  for (const [index, payload] of sent.slice(0, 200).entries()) publisher.publish('a', payload, 1, index + 1);
  await until(() => publisher.received.length === 200);
  const again = await given.dial();
  again.sendConnect(SUB);
  for (const [index, payload] of sent.slice(200).entries()) {
    publisher.publish('a', payload, 1, index + 201);
    if (index % 20 === 0) await settleDown(1);
  }
  await again.next('connack');
  expect(await readAll(again, 400)).toEqual(sent);
  await settleDown();
  expect(again.cmds()).toEqual([]);
});

test('a queue at its bound takes nothing more, counts that, and stops nobody', async () => {
  given = await open({ queueMessagesMax: 5 });
  const client = await given.connect(SUB);
  await client.subscribe('a', 1);
  client.hangUp();
  const publisher = await given.connect({ clientId: 'pub' });
  for (let id = 1; id <= 8; id++) publisher.publish('a', `m${id}`, 1, id);
  await until(() => publisher.received.length === 8);
  expect(given.room.status()).toMatchObject({ queued: { messages: 5 }, dropped: { queue: 3 } });
  const again = await given.connect(SUB);
  expect(await readAll(again, 5)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
});

test('unsubscribing ends deliveries, also after a restart', async () => {
  given = await open();
  const client = await given.connect(SUB);
  await client.subscribe('a', 1);
  await client.subscribe('b', 1);
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] });
  await client.next('unsuback');
  given = await given.crash();
  given.intake.isAutomatic = true;
  const again = await given.connect(SUB);
  const publisher = await given.connect({ clientId: 'pub' });
  publisher.publish('a', 'one', 1, 1);
  publisher.publish('b', 'two', 1, 2);
  expect(await again.next('publish')).toMatchObject({ topic: 'b' });
  await settleDown();
  expect(again.cmds()).toEqual([]);
});

test('a clean session forgets the one before it, on the card too', async () => {
  given = await open();
  const client = await given.connect(SUB);
  await client.subscribe('a', 1);
  client.hangUp();
  const publisher = await given.connect({ clientId: 'pub' });
  publisher.publish('a', 'one', 2, 1);
  await publisher.next('pubrec');
  const clean = await given.connect({ ...SUB, clean: true });
  await settleDown();
  expect(clean.cmds()).toEqual([]);
  expect([...given.tables.rows.keys()].filter((key) => key.includes('sub'))).toEqual([]);
});

test('a session whose client stays away is forgotten with its rows and marks', async () => {
  given = await open({ sessionExpiryMs: 10 * 3600_000 });
  const client = await given.connect(SUB);
  await client.subscribe('a', 1);
  client.publish('b', 'one', 2, 1);
  await client.next('pubrec');
  client.hangUp();
  await until(() => given.room.status().clients === 0);
  given.clock.advance(5 * 3600_000);
  await settleDown();
  given = await given.crash();
  given.intake.isAutomatic = true;
  given.clock.advance(5 * 3600_000);
  expect(given.room.status()).toMatchObject({ sessions: 1, inflight: 1 });
  given.clock.advance(3600_000);
  await until(() => given.intake.marks.size === 0);
  expect(given.room.status()).toMatchObject({ sessions: 0, inflight: 0 });
  expect(given.tables.rows.size).toBe(0);
});

test('the client id taken over ends the older connection', async () => {
  given = await open();
  const client = await given.connect(SUB);
  const again = await given.connect(SUB);
  await client.whenClosed();
  await again.subscribe('a', 1);
  again.publish('a', 'one', 1, 1);
  expect(String((await again.next('publish')).payload)).toBe('one');
});

test('a retained message is kept through a crash, replaced, and removed by an empty one', async () => {
  given = await open();
  const publisher = await given.connect({ clientId: 'pub' });
  publisher.publish('state/a', 'old', 1, 1, { retain: true });
  publisher.publish('state/a', 'new', 1, 2, { retain: true });
  publisher.publish('state/b', 'gone', 1, 3, { retain: true });
  publisher.publish('state/b', '', 1, 4, { retain: true });
  publisher.publish('$private/a', 'hidden', 1, 5, { retain: true });
  await until(() => publisher.received.length === 5);
  given = await given.crash();
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('#', 0);
  expect(await client.next('publish')).toMatchObject({ topic: 'state/a', retain: true, qos: 0 });
  await settleDown();
  expect(client.cmds()).toEqual([]);
  expect(given.room.status().retained).toBe(2);
});

test('a live message bears no retain flag', async () => {
  given = await open();
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('a', 1);
  client.publish('a', 'one', 1, 1, { retain: true });
  expect(await client.next('publish')).toMatchObject({ retain: false });
});

test('retained messages are bounded in number; one more is delivered and counted', async () => {
  given = await open({ retainedMax: 1 });
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('#', 0);
  client.publish('a', 'one', 1, 1, { retain: true });
  client.publish('b', 'two', 1, 2, { retain: true });
  await client.next('publish');
  expect(await client.next('publish')).toMatchObject({ topic: 'b' });
  expect(given.room.status()).toMatchObject({ retained: 1, dropped: { retained: 1 } });
});

test('a will is in the log and with subscribers when its client goes without DISCONNECT', async () => {
  given = await open();
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('wills', 1);
  const will = { topic: 'wills', payload: Buffer.from('gone'), qos: 1 as const };
  const leaving = await given.connect({ clientId: 'leaving', will });
  const dying = await given.connect({ clientId: 'dying', will });
  leaving.send({ cmd: 'disconnect' });
  await leaving.whenClosed();
  await settleDown();
  expect(given.intake.values).toEqual([]);
  dying.hangUp();
  expect(String((await client.next('publish')).payload)).toBe('gone');
  expect(given.intake.values).toEqual(['gone']);
});

test('an orderly stop says all wills into the log', async () => {
  given = await open();
  await given.connect({ clientId: 'dying', will: { topic: 'wills', payload: Buffer.from('gone'), qos: 1 } });
  await given.close();
  expect(given.intake.values).toEqual(['gone']);
});

test('a clean subscriber that does not read stops no publisher and is closed at its bound', async () => {
  given = await open({ outgoingBytesMax: 300_000 });
  const frozen = await given.connect({ clientId: 'frozen' });
  await frozen.subscribe('#', 1);
  frozen.socket.pause();
  const publisher = await given.connect({ clientId: 'pub' });
  const payload = 'x'.repeat(20_000);
  for (let id = 1; id <= 600; id++) {
    publisher.publish('a', payload, 1, id);
    if (id % 20 === 0) await until(() => publisher.received.length === id, `PUBACK ${id}`);
  }
  expect(given.intake.values).toHaveLength(600);
  expect(given.room.status().refused).toEqual({ slow: 1 });
});

test('a burst of large messages does not make a subscriber that reads look slow', async () => {
  given = await open();
  given.intake.isAutomatic = false;
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('#', 1);
  const publishers = await Promise.all([1, 2, 3, 4].map((id) => given.connect({ clientId: `pub ${id}` })));
  for (const publisher of publishers) {
    for (let id = 1; id <= 100; id++) publisher.publish('a', 'x'.repeat(50_000), 1, id);
  }
  await until(() => given.intake.waiting === 400);
  given.intake.settle();
  await readAll(client, 400);
  expect(given.room.status()).toMatchObject({ refused: {}, dropped: { slow: 0 } });
});

test('a session that does not read falls behind: nobody waits for it, and it gets all in order when it reads', async () => {
  given = await open({ outgoingBytesMax: 300_000 });
  const frozen = await given.connect(SUB);
  await frozen.subscribe('#', 1);
  frozen.socket.pause();
  const publisher = await given.connect({ clientId: 'pub' });
  const sent = Array.from({ length: 900 }, (_, index) => `${index} ${'x'.repeat(20_000)}`);
  for (const [index, payload] of sent.slice(0, 600).entries()) {
    publisher.publish('a', payload, 1, index + 1);
    if (index % 20 === 19) await until(() => publisher.received.length === index + 1, `PUBACK ${index + 1}`);
  }
  expect(given.room.status().queued.messages).toBe(600);
  frozen.socket.resume();
  const reading = readAll(frozen, 900);
  for (const [index, payload] of sent.slice(600).entries()) {
    publisher.publish('a', payload, 1, index + 601);
    if (index % 20 === 19) await settleDown(1);
  }
  expect((await reading).map((payload) => Number.parseInt(payload, 10))).toEqual(sent.map((_, index) => index));
  await until(() => given.room.status().queued.messages === 0);
  await settleDown();
  expect(frozen.cmds()).toEqual([]);
  expect(given.room.status()).toMatchObject({ refused: {}, dropped: { slow: 0, queue: 0 } });
});

test('a subscriber that does not read loses QoS 0 messages, counted', async () => {
  given = await open({ outgoingBytesMax: 300_000 });
  const frozen = await given.connect({ clientId: 'frozen' });
  await frozen.subscribe('#', 0);
  frozen.socket.pause();
  const publisher = await given.connect({ clientId: 'pub' });
  for (let id = 1; id <= 600; id++) {
    publisher.publish('a', 'x'.repeat(20_000), 1, id);
    if (id % 20 === 0) await until(() => publisher.received.length === id, `PUBACK ${id}`);
  }
  expect(given.room.status().dropped.slow).toBeGreaterThan(0);
  expect(given.room.status().refused).toEqual({});
});

test('MQTT.js publishes and receives with every QoS, and resumes its session', async () => {
  given = await open();
  const url = `mqtt://127.0.0.1:${given.room.port}`;
  const options = { clientId: 'js', clean: false, reconnectPeriod: 0, protocolVersion: 4 as const };
  const seen: string[] = [];
  const first = await connectAsync(url, options);
  first.on('message', (_topic, payload) => seen.push(String(payload)));
  await first.subscribeAsync('a/#', { qos: 2 });
  for (const qos of [0, 1, 2] as const) await first.publishAsync('a/b', `qos ${qos}`, { qos });
  await until(() => seen.length === 3);
  await first.endAsync();
  const publisher = await connectAsync(url, { protocolVersion: 4 });
  await publisher.publishAsync('a/c', 'meanwhile', { qos: 2 });
  await publisher.endAsync();
  const second = connect(url, options);
  second.on('message', (_topic, payload) => seen.push(String(payload)));
  await until(() => seen.length === 4);
  await second.endAsync();
  expect(seen).toEqual(['qos 0', 'qos 1', 'qos 2', 'meanwhile']);
  expect(given.intake.values).toEqual(seen);
});

test('numbers are told in status and metrics', async () => {
  given = await open();
  const client = await given.connect();
  await client.subscribe('a', 0);
  client.publish('a', 'four', 1, 1);
  await client.next('puback');
  client.publish('b', 'nobody wants this', 1, 2);
  await client.next('puback');
  const delivered = { records: 1, bytes: 4 };
  expect(given.room.status()).toMatchObject({ clients: 1, received: { records: 2, bytes: 21 }, delivered });
  const values = Object.fromEntries(given.room.metrics().map(({ name, samples }) => [name, samples[0]?.value]));
  expect(values).toMatchObject({
    mqtt_received_records_total: 2,
    mqtt_received_bytes_total: 21,
    mqtt_delivered_records_total: 1,
    mqtt_delivered_bytes_total: 4,
  });
});
