// What is read is lent: the next read overwrites it, and nothing that waits may change by that.

import { afterEach, expect, test } from 'vitest';
import { generate } from 'mqtt-packet';
import { openRoom, settleDown, until, type TestRoom } from './room.ts';

let given: TestRoom;
afterEach(() => given.close());

/** Many bytes that are no packet of their own, read into the same buffer. */
async function overwrite(): Promise<void> {
  const other = await given.connect({ clientId: 'other' });
  const before = given.intake.waiting;
  other.publish('unrelated', 'x'.repeat(60_000), 0);
  await until(() => given.intake.waiting > before);
}

test('a message that waits for its commit reaches its subscribers as it was published', async () => {
  given = await openRoom();
  const subscriber = await given.connect({ clientId: 'subscriber' });
  await subscriber.subscribe('a/#', 1);
  const client = await given.connect({ clientId: 'publisher' });
  client.publish('a/b', 'as it was', 1, 7);
  await until(() => given.intake.waiting === 1);
  await overwrite();
  given.intake.settle();
  expect(String((await subscriber.next('publish')).payload)).toBe('as it was');
});

test('a packet that comes in pieces is put together from what each piece was', async () => {
  given = await openRoom();
  const client = await given.connect({ clientId: 'publisher' });
  const bytes = generate({
    cmd: 'publish',
    topic: 'a/b',
    payload: 'in three pieces',
    qos: 1,
    messageId: 7,
    dup: false,
    retain: false,
  });
  for (const [from, to] of [
    [0, 4],
    [4, 15],
  ]) {
    client.sendBytes(bytes.subarray(from, to));
    await settleDown();
    await overwrite();
  }
  client.sendBytes(bytes.subarray(15));
  await until(() => given.intake.waiting === 3);
  given.intake.settle();
  await client.next('puback');
  expect(given.intake.records.at(-1)).toEqual({ topic: 'a/b', value: 'in three pieces' });
});

test('what was read with a SUBSCRIBE waits unchanged until the SUBSCRIBE is answered', async () => {
  given = await openRoom();
  const client = await given.connect({ clientId: 'publisher' });
  const subscribe = generate({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic: 'a/#', qos: 1 }] });
  const publish = generate({
    cmd: 'publish',
    topic: 'a/b',
    payload: 'behind it',
    qos: 1,
    messageId: 7,
    dup: false,
    retain: false,
  });
  const other = await given.connect({ clientId: 'other' });
  client.sendBytes(Buffer.concat([subscribe, publish]));
  other.publish('unrelated', 'x'.repeat(60_000), 0);
  await until(() => given.intake.waiting === 2);
  given.intake.settle();
  expect(String((await client.next('publish')).payload)).toBe('behind it');
});
