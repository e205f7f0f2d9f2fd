// Which sockets rest and for how long, and that a client loses nothing but reads by it.

import { afterEach, describe, expect, test } from 'vitest';
import { createPace, LARGE_BYTES, TICK_MS, type Paced } from '../../src/mqtt/pace.ts';
import { fakeClock } from '../fakes/clock.ts';
import { openRoom, settleDown, until, type TestRoom } from './room.ts';

describe('a pace', () => {
  function open(lullMs = Infinity) {
    const clock = fakeClock();
    clock.advance(1000);
    const woken: string[] = [];
    const paced = (name: string): Paced => ({ lastReadMs: -Infinity, wake: () => void woken.push(name) });
    const pace = createPace(clock, (msMax) => Math.min(msMax, lullMs));
    return { clock, woken, paced, pace };
  }

  test('lets rest who sends often, and wakes all at one tick', () => {
    const { clock, woken, paced, pace } = open();
    const [first, second] = [paced('first'), paced('second')];
    expect(pace.rests(first, 1, 150)).toBe(false);
    clock.advance(1);
    expect(pace.rests(first, 1, 150)).toBe(true);
    clock.advance(TICK_MS - 1);
    expect(pace.rests(second, 2, 300)).toBe(true);
    expect(woken).toEqual([]);
    clock.advance(1);
    expect(woken).toEqual(['first', 'second']);
    expect(clock.timers()).toBe(0);
  });

  test('reads on whoever sends rarely, or much at once', () => {
    const { clock, paced, pace } = open();
    const rare = paced('rare');
    for (let count = 0; count < 5; count += 1) {
      expect(pace.rests(rare, 1, 150)).toBe(false);
      clock.advance(TICK_MS);
    }
    expect(pace.rests(rare, 60, LARGE_BYTES)).toBe(false);
  });

  test('rests no longer than the log allows, and not at all when a commit could start', () => {
    const { clock, woken, paced, pace } = open(5);
    expect(pace.rests(paced('first'), 2, 300)).toBe(true);
    clock.advance(5);
    expect(woken).toEqual(['first']);
    const { paced: other, pace: busy } = open(0);
    expect(busy.rests(other('other'), 2, 300)).toBe(false);
  });
});

describe('a client that rests', () => {
  let given: TestRoom;
  afterEach(() => given.close());

  test('is read at the next tick, in order, and acknowledged', async () => {
    given = await openRoom();
    given.intake.lullMs = TICK_MS;
    const client = await given.connect();
    client.publish('a', '1', 1, 1);
    await until(() => given.intake.waiting === 1);
    client.publish('a', '2', 1, 2);
    await until(() => given.intake.waiting === 2);
    client.publish('a', '3', 1, 3);
    client.publish('a', '4', 1, 4);
    await settleDown();
    expect(given.intake.waiting).toBe(2);
    given.clock.advance(TICK_MS);
    await until(() => given.intake.waiting === 4);
    given.intake.settle();
    expect(given.intake.values).toEqual(['1', '2', '3', '4']);
    for (const messageId of [1, 2, 3, 4]) expect(await client.next('puback')).toMatchObject({ messageId });
  });

  test('is acknowledged, kept and closed like any other', async () => {
    given = await openRoom();
    given.intake.lullMs = TICK_MS;
    const client = await given.connect();
    for (const id of [1, 2]) {
      client.publish('a', String(id), 1, id);
      await until(() => given.intake.waiting === id);
    }
    given.intake.settle();
    for (const messageId of [1, 2]) expect(await client.next('puback')).toMatchObject({ messageId });
    client.publish('a', '3', 1, 3);
    client.hangUp();
    await settleDown();
    expect(given.room.status().clients).toBe(1);
    given.clock.advance(TICK_MS);
    await until(() => given.room.status().clients === 0);
  });

  test.each([
    ['a message of QoS 0 for subscribers', (id: number) => ({ topic: 'wanted', qos: 0 as const, id })],
    ['a message that no rule takes', (id: number) => ({ topic: 'unrouted/a', qos: 1 as const, id })],
    ['a message of QoS 2', (id: number) => ({ topic: 'a', qos: 2 as const, id })],
  ])('is none that sends %s', async (_, message) => {
    given = await openRoom();
    given.intake.lullMs = TICK_MS;
    const subscriber = await given.connect({ clientId: 'subscriber' });
    await subscriber.subscribe('wanted');
    const client = await given.connect({ clientId: 'publisher' });
    for (let count = 1; count <= 5; count += 1) {
      const { topic, qos, id } = message(count);
      client.publish(topic, 'x', qos, id);
      await until(() => given.room.status().received.records === count);
    }
  });
});
