import { afterEach, expect, test } from 'vitest';
import { openRoom, settleDown, until, type TestRoom } from './room.ts';

let given: TestRoom;
afterEach(() => given.close());

const PUMP = { clientId: 'pump/7', clean: false };

test('PUBCOMP leaves only after the mark is gone from the card', async () => {
  given = await openRoom();
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await until(() => given.intake.waiting === 1);
  given.intake.settle();
  await client.next('pubrec');
  client.send({ cmd: 'pubrel', messageId: 5 });
  await until(() => given.intake.hasOpenCommit);
  await settleDown();
  expect(client.cmds()).toEqual([]);
  expect(given.intake.marks.size).toBe(1);
  given.intake.settle();
  await client.next('pubcomp');
  expect(given.intake.marks.size).toBe(0);
});

test('a PUBLISH sent again after a crash is answered from its mark', async () => {
  given = await openRoom();
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await until(() => given.intake.waiting === 1);
  given.intake.settle();
  given = await given.crash();
  const again = await given.connect(PUMP);
  again.publish('a', 'one', 2, 5, { dup: true });
  await again.next('pubrec');
  expect(given.intake.waiting).toBe(0);
  given.intake.isAutomatic = true;
  again.send({ cmd: 'pubrel', messageId: 5 });
  await again.next('pubcomp');
  again.publish('a', 'two', 2, 5);
  await again.next('pubrec');
  expect(given.intake.values).toEqual(['two']);
});

test('a session with nothing but a mark is a session: CONNACK says so after a crash', async () => {
  given = await openRoom();
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await until(() => given.intake.waiting === 1);
  given.intake.settle();
  given = await given.crash();
  const again = await given.dial();
  again.sendConnect(PUMP);
  expect(await again.next('connack')).toMatchObject({ sessionPresent: true, returnCode: 0 });
});

test('relaxed: a crash between PUBREC and the commit costs the record, and one after it doubles none', async () => {
  given = await openRoom();
  given.intake.isRelaxed = true;
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await client.next('pubrec');
  expect(given.intake.waiting).toBe(1);
  given = await given.crash();
  given.intake.isRelaxed = true;
  const again = await given.connect(PUMP);
  again.send({ cmd: 'pubrel', messageId: 5 });
  await again.next('pubcomp');
  again.publish('a', 'two', 2, 6);
  await again.next('pubrec');
  given.intake.settle();
  expect(given.intake.values).toEqual(['two']);
  given = await given.crash();
  const third = await given.connect(PUMP);
  third.publish('a', 'two', 2, 6, { dup: true });
  await third.next('pubrec');
  expect(given.intake.waiting).toBe(0);
});

test('a PUBLISH sent again before its commit is done is not a second record', async () => {
  given = await openRoom();
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await until(() => given.intake.waiting === 1);
  const again = await given.connect(PUMP);
  await client.whenClosed();
  again.publish('a', 'one', 2, 5, { dup: true });
  await settleDown();
  expect(again.cmds()).toEqual([]);
  given.intake.settle();
  await again.next('pubrec');
  expect(given.intake.values).toEqual(['one']);
});

test('a failed removal leaves the mark: PUBREL comes again', async () => {
  given = await openRoom();
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await until(() => given.intake.waiting === 1);
  given.intake.settle();
  await client.next('pubrec');
  client.send({ cmd: 'pubrel', messageId: 5 });
  await until(() => given.intake.hasOpenCommit);
  given.intake.fail();
  await client.whenClosed();
  given.intake.isAutomatic = true;
  const again = await given.connect(PUMP);
  again.send({ cmd: 'pubrel', messageId: 5 });
  await again.next('pubcomp');
  expect(given.intake.marks.size).toBe(0);
});

test('PUBREL for an unknown id is answered', async () => {
  given = await openRoom();
  const client = await given.connect(PUMP);
  client.send({ cmd: 'pubrel', messageId: 77 });
  expect(await client.next('pubcomp')).toMatchObject({ messageId: 77 });
});

test('a clean session removes the marks of the one before it', async () => {
  given = await openRoom();
  given.intake.isAutomatic = true;
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await client.next('pubrec');
  const clean = await given.connect({ ...PUMP, clean: true });
  await until(() => given.intake.marks.size === 0);
  clean.publish('a', 'two', 2, 5);
  await clean.next('pubrec');
  expect(given.intake.values).toEqual(['one', 'two']);
  expect(given.intake.marks.size).toBe(0);
  expect(given.room.status().inflight).toBe(1);
  clean.hangUp();
  await until(() => given.room.status().inflight === 0);
});

test('a client that never sends PUBREL is closed at its bound', async () => {
  given = await openRoom({ inflightMax: 3 });
  given.intake.isAutomatic = true;
  const client = await given.connect(PUMP);
  for (let id = 1; id <= 4; id++) client.publish('a', String(id), 2, id);
  await client.whenClosed();
  expect(given.room.status()).toMatchObject({ inflight: 3, refused: { inflight: 1 } });
  expect(given.intake.values).toEqual(['1', '2', '3']);
});

test('a message in the log that a crash kept from the queues is routed when it is sent again', async () => {
  given = await openRoom();
  given.intake.isAutomatic = true;
  const subscriber = await given.connect({ clientId: 'sub', clean: false });
  await subscriber.subscribe('a', 2);
  subscriber.hangUp();
  const client = await given.connect(PUMP);
  given.tables.gate = new Promise(() => undefined);
  client.publish('a', 'one', 2, 5);
  await until(() => given.intake.marks.size === 1);
  const rows = new Map(given.tables.rows);
  const marks = new Map(given.intake.marks);
  await given.close();

  given = await openRoom({}, { rows, marks });
  const again = await given.connect(PUMP);
  again.publish('a', 'one', 2, 5, { dup: true });
  await again.next('pubrec');
  given = await given.crash();
  const third = await given.connect(PUMP);
  third.publish('a', 'one', 2, 5, { dup: true });
  await third.next('pubrec');
  const late = await given.connect({ clientId: 'sub', clean: false });
  expect(await late.next('publish')).toMatchObject({ qos: 2, topic: 'a' });
  await settleDown();
  expect(late.cmds()).toEqual([]);
  expect(given.intake.values).toEqual([]);
});

test.each(['PUBREL', 'a clean session'])('nothing stays on the card of a routed message after %s', async (end) => {
  given = await openRoom();
  given.intake.isAutomatic = true;
  const subscriber = await given.connect({ clientId: 'sub', clean: false });
  await subscriber.subscribe('a', 2);
  subscriber.hangUp();
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await client.next('pubrec');
  const routed = (): string[] => [...given.tables.rows.keys()].filter((key) => key.startsWith('mqttrouted'));
  expect(routed()).toHaveLength(1);
  if (end === 'PUBREL') {
    client.send({ cmd: 'pubrel', messageId: 5 });
    await client.next('pubcomp');
  } else await given.connect({ ...PUMP, clean: true });
  await settleDown();
  given.clock.advance(1000);
  await settleDown();
  expect(routed()).toEqual([]);
});

test('an id whose removal the card has lost is not taken for another message that bears it', async () => {
  given = await openRoom();
  const client = await given.connect(PUMP);
  client.publish('a', 'one', 2, 5);
  await until(() => given.intake.waiting === 1);
  given.intake.settle();
  given = await given.crash();
  given.intake.isAutomatic = true;
  const again = await given.connect(PUMP);
  again.publish('a', 'two', 2, 5);
  await again.next('pubrec');
  again.publish('a', 'two', 2, 5, { dup: true });
  await again.next('pubrec');
  expect(given.intake.values).toEqual(['two']);
  again.send({ cmd: 'pubrel', messageId: 5 });
  await again.next('pubcomp');
  expect(given.intake.marks.size).toBe(0);
});
