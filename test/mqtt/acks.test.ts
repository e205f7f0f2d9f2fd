import { afterEach, expect, test } from 'vitest';
import { openRoom, settleDown, until, type TestRoom } from './room.ts';

let given: TestRoom;
afterEach(() => given.close());

test('PUBACK leaves only after the commit', async () => {
  given = await openRoom();
  const client = await given.connect();
  client.publish('a/b', 'one', 1, 7);
  await until(() => given.intake.waiting === 1);
  await settleDown();
  expect(client.cmds()).toEqual([]);
  given.intake.settle();
  expect(await client.next('puback')).toMatchObject({ messageId: 7 });
  expect(given.intake.records).toEqual([{ topic: 'a/b', value: 'one' }]);
});

test('PUBREC leaves only after the commit of the record and its mark', async () => {
  given = await openRoom();
  const client = await given.connect({ clientId: 'pump', clean: false });
  client.publish('a/b', 'one', 2, 7);
  await until(() => given.intake.waiting === 1);
  await settleDown();
  expect(client.cmds()).toEqual([]);
  given.intake.settle();
  await client.next('pubrec');
  expect([...given.intake.marks.keys()]).toEqual(['mqtt/pump/7']);
});

test('acknowledgements of one commit leave in the order of their messages', async () => {
  given = await openRoom();
  const client = await given.connect();
  for (const id of [5, 3, 9]) client.publish('a', String(id), 1, id);
  client.publish('a', '4', 2, 4);
  await until(() => given.intake.waiting === 4);
  given.intake.settle();
  await client.next('pubrec').then((packet) => client.received.push(packet));
  expect(client.received.map((packet) => [packet.cmd, packet.messageId])).toEqual([
    ['puback', 5],
    ['puback', 3],
    ['puback', 9],
    ['pubrec', 4],
  ]);
});

test('what no rule takes is acknowledged at once, but not before what came earlier', async () => {
  given = await openRoom();
  const client = await given.connect();
  client.publish('unrouted/a', 'one', 1, 1);
  await client.next('puback');
  client.publish('a', 'two', 1, 2);
  client.publish('unrouted/a', 'three', 1, 3);
  await until(() => given.intake.waiting === 1);
  await settleDown();
  expect(client.cmds()).toEqual([]);
  given.intake.settle();
  expect(await client.next('puback')).toMatchObject({ messageId: 2 });
  expect(await client.next('puback')).toMatchObject({ messageId: 3 });
  expect(given.room.status()).toMatchObject({ unrouted: 2, received: { records: 3 } });
});

test('QoS 0 is taken without an answer', async () => {
  given = await openRoom();
  const client = await given.connect();
  client.publish('a', 'one', 0);
  await until(() => given.intake.waiting === 1);
  given.intake.settle();
  await settleDown();
  expect(client.cmds()).toEqual([]);
  expect(given.intake.values).toEqual(['one']);
});

test('a failed commit is not acknowledged: the connection is closed and the client sends again', async () => {
  given = await openRoom();
  const client = await given.connect({ clientId: 'pump', clean: false });
  client.publish('a', 'one', 1, 1);
  client.publish('a', 'two', 2, 2);
  await until(() => given.intake.waiting === 2);
  given.intake.fail();
  await client.whenClosed();
  expect(client.cmds()).toEqual([]);
  expect(given.room.status().refused).toEqual({ commit: 1 });

  const again = await given.connect({ clientId: 'pump', clean: false });
  again.publish('a', 'one', 1, 1, { dup: true });
  again.publish('a', 'two', 2, 2, { dup: true });
  await until(() => given.intake.waiting === 2);
  given.intake.settle();
  await again.next('pubrec');
  expect(given.intake.values).toEqual(['one', 'two']);
});

test('a publisher that hangs up before the commit: the record is in the log, and subscribers have it', async () => {
  given = await openRoom();
  const subscriber = await given.connect({ clientId: 'sub' });
  await subscriber.subscribe('a', 1);
  const client = await given.connect();
  client.publish('a', 'one', 1, 1);
  await until(() => given.intake.waiting === 1);
  client.hangUp();
  await until(() => given.room.status().clients === 1);
  expect(subscriber.cmds()).toEqual([]);
  given.intake.settle();
  expect(String((await subscriber.next('publish')).payload)).toBe('one');
  expect(given.intake.values).toEqual(['one']);
});

test('a record that the log refuses closes the connection', async () => {
  given = await openRoom();
  const client = await given.connect();
  client.publish('toolarge/a', 'one', 1, 1);
  await client.whenClosed();
  expect(client.cmds()).toEqual([]);
  expect(given.room.status().refused).toEqual({ record: 1 });
});

test('while the log is full no socket is read, and then all goes on', async () => {
  given = await openRoom();
  const [one, two] = [await given.connect({ clientId: 'one' }), await given.connect({ clientId: 'two' })];
  given.intake.fill();
  one.publish('a', 'one', 1, 1);
  await until(() => given.room.status().heldBack);
  two.publish('a', 'two', 1, 1);
  two.send({ cmd: 'pingreq' });
  await settleDown();
  expect(given.intake.waiting).toBe(0);
  expect(two.cmds()).toEqual([]);
  given.intake.empty();
  await until(() => given.intake.waiting === 2);
  given.intake.settle();
  await Promise.all([one.next('puback'), two.next('puback'), two.next('pingresp')]);
  expect(given.room.status().heldBack).toBe(false);
});

test('while there is no room for records only who publishes is held, and closed after a while, unacknowledged', async () => {
  given = await openRoom({ heldMsMax: 30_000 });
  const [publisher, other] = [await given.connect({ clientId: 'one' }), await given.connect({ clientId: 'two' })];
  given.intake.refuse('the budget is reached');
  publisher.publish('a', 'one', 1, 1);
  await until(() => given.room.status().heldBack);
  other.send({ cmd: 'pingreq' });
  await other.next('pingresp');
  given.clock.advance(25_000);
  await settleDown();
  expect(publisher.isClosed).toBe(false);
  given.clock.advance(10_000);
  await publisher.whenClosed();
  expect([publisher.cmds(), given.intake.waiting]).toEqual([[], 0]);
  expect(given.room.status().refused).toEqual({ 'no room': 1 });
  const again = await given.connect({ clientId: 'one' });
  again.publish('a', 'one', 1, 1);
  await until(() => given.room.status().heldBack);
  given.intake.empty();
  await until(() => given.intake.waiting === 1);
  given.intake.settle();
  await again.next('puback');
});

test('who was held for a moment and does not publish goes on when it becomes a matter of days', async () => {
  given = await openRoom();
  const [publisher, other] = [await given.connect({ clientId: 'one' }), await given.connect({ clientId: 'two' })];
  given.intake.fill();
  publisher.publish('a', 'one', 1, 1);
  await until(() => given.room.status().heldBack);
  given.intake.refuse('the disk is full');
  other.send({ cmd: 'pingreq' });
  given.clock.advance(1000);
  await other.next('pingresp');
  expect(given.intake.waiting).toBe(0);
});

test('a client that is owed too many acknowledgements is not read until it got some', async () => {
  given = await openRoom({ pendingAcksMax: 10 });
  const client = await given.connect();
  for (let id = 1; id <= 50; id++) client.publish('a', String(id), 1, id);
  await until(() => given.intake.waiting === 11);
  await settleDown();
  expect(given.intake.waiting).toBe(11);
  given.intake.isAutomatic = true;
  given.intake.settle();
  await until(() => given.intake.values.length === 50);
  await until(() => client.received.length === 50);
  expect(given.intake.values).toEqual(Array.from({ length: 50 }, (_, index) => String(index + 1)));
});

test('stopIntake takes nothing more; close acknowledges what was taken', async () => {
  given = await openRoom();
  const client = await given.connect();
  client.publish('a', 'one', 1, 1);
  await until(() => given.intake.waiting === 1);
  await given.room.stopIntake();
  client.publish('a', 'two', 1, 2);
  await settleDown();
  expect(given.intake.waiting).toBe(1);
  const closing = given.room.close();
  await settleDown();
  expect(client.isClosed).toBe(false);
  given.intake.settle();
  await client.next('puback');
  await closing;
  expect(given.intake.values).toEqual(['one']);
});

test('a publisher that does not read its acknowledgements is not read, and closed in the end', async () => {
  given = await openRoom({ pendingAcksMax: 1_000_000 });
  given.intake.isAutomatic = true;
  const client = await given.connect({ keepalive: 60 });
  client.socket.pause();
  const many = Buffer.concat(Array.from({ length: 10_000 }, (_, id) => publishBytes(id + 1)));
  let isBlocked = false;
  for (let round = 0; round < 1000 && !isBlocked; round++) {
    isBlocked = !client.socket.write(many) && client.socket.writableLength > 10 * many.length;
    await settleDown(1);
  }
  expect(isBlocked).toBe(true);
  given.clock.advance(60_000);
  await settleDown();
  expect(client.isClosed).toBe(false);
  given.clock.advance(10_000);
  await until(() => given.room.status().clients === 0);
  expect(given.room.status().refused).toEqual({ slow: 1 });
});

/** PUBLISH of `x` to `a` with QoS 1. */
function publishBytes(packetId: number): Buffer {
  return Buffer.from([0x32, 6, 0, 1, 0x61, packetId >> 8, packetId & 0xff, 0x78]);
}
