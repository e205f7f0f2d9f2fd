import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors.ts';
import { partitionOfKey } from '../../src/formats/murmur2.ts';
import { openIntake, type IntakeLimits, type IntakeRoom } from '../../src/intake/intake.ts';
import type { RouteRule } from '../../src/intake/routes.ts';
import { systemClock, type Clock, type ClockDoubt } from '../../src/clock.ts';
import { unsureBootIn } from '../../src/formats/batch.ts';
import { createTrace } from '../../src/trace.ts';
import { gatherLog, type GatherLog } from '../fakes/gather-log.ts';

const WALL_MS = 1_800_000_000_123;
const PLANT: RouteRule = { mqtt: 'plant/+line/+machine/#', topic: 'readings', key: '{line}/{machine}' };

function open(
  routes: RouteRule[] = [],
  limits: IntakeLimits = {},
  clock: Clock = { ...systemClock, wallMs: () => WALL_MS },
): { intake: IntakeRoom; fake: GatherLog } {
  const fake = gatherLog();
  const trace = createTrace({ write: () => {} });
  return { fake, intake: openIntake({ log: fake.log, routes, nodeName: 'pump-7', clock, trace, limits }) };
}

function values(fake: GatherLog, topic: string, partition = 0): string[] {
  return fake.records(topic, partition).map((record) => String(record.value));
}

test('without routes a message lands in topic mqtt with its MQTT topic as key and the time of arrival', async () => {
  const { intake, fake } = open();
  const commit = intake.acceptMqtt('a/b', Buffer.from('21.5'));
  fake.commit();
  await commit?.done();
  expect(fake.records('mqtt')).toEqual([
    { offset: 0, timestampMs: WALL_MS, key: Buffer.from('a/b'), value: Buffer.from('21.5'), headers: [] },
  ]);
});

test('records that wait together share one commit and one batch, and keep their order', () => {
  const { intake, fake } = open();
  const commits = ['1', '2', '3'].map((text) => intake.acceptMqtt('a', Buffer.from(text)));
  expect(new Set(commits).size).toBe(1);
  fake.commit();
  expect(fake.batches('mqtt')).toHaveLength(1);
  expect(values(fake, 'mqtt')).toEqual(['1', '2', '3']);
});

test('a record that comes after the commit has started joins the next one', () => {
  const { intake, fake } = open();
  const first = intake.acceptMqtt('a', Buffer.from('1'));
  const settle = fake.startCommit();
  const second = intake.acceptMqtt('a', Buffer.from('2'));
  expect(second).not.toBe(first);
  settle();
  fake.commit();
  expect(fake.batches('mqtt')).toHaveLength(2);
  expect(values(fake, 'mqtt')).toEqual(['1', '2']);
});

test('the payload is copied before the call returns', () => {
  const { intake, fake } = open();
  const payload = Buffer.from('before');
  intake.acceptMqtt('a', payload);
  payload.fill('x');
  fake.commit();
  expect(values(fake, 'mqtt')).toEqual(['before']);
});

test('the key decides the partition as in the Java client, and a rule may fix it', () => {
  const { intake, fake } = open([PLANT, { mqtt: 'fixed', topic: 'readings', partition: 2 }]);
  fake.createTopic('readings', 4);
  for (const line of ['a', 'b', 'c', 'd', 'e']) intake.acceptMqtt(`plant/${line}/m/x`, Buffer.from(line));
  intake.acceptMqtt('fixed', Buffer.from('f'));
  fake.commit();
  for (const line of ['a', 'b', 'c', 'd', 'e']) {
    expect(values(fake, 'readings', partitionOfKey(Buffer.from(`${line}/m`), 4))).toContain(line);
  }
  expect(values(fake, 'readings', 2)).toContain('f');
});

test('a header names the MQTT topic where the key does not', () => {
  const { intake, fake } = open([{ ...PLANT, node: true }]);
  intake.acceptMqtt('plant/a/b/temp', Buffer.from('1'));
  fake.commit();
  expect(fake.records('readings')[0]?.headers).toEqual([
    { key: 'node', value: Buffer.from('pump-7') },
    { key: 'mqtt.topic', value: Buffer.from('plant/a/b/temp') },
  ]);
});

test('a message that no rule takes is counted and nothing of it is kept, its marks neither', () => {
  const { intake, fake } = open([PLANT]);
  expect(intake.acceptMqtt('elsewhere', Buffer.from('1'), [['m', Buffer.from('x')]])).toBeUndefined();
  expect(intake.acceptMqtt('elsewhere', Buffer.from('1'))).toBeUndefined();
  fake.commit();
  expect(intake.status()).toMatchObject({ unrouted: 2, records: 0 });
  expect(fake.marks.size).toBe(0);
});

test('marks are in the commit of their record', () => {
  const { intake, fake } = open();
  intake.acceptMqtt('a', Buffer.from('1'), [['qos2/c/1', Buffer.from('x')]]);
  intake.accept({ topic: 't', key: null, value: Buffer.from('2') }, [['other', Buffer.from('y')]]);
  fake.commit(new HeadwaterError('STORE_UNAVAILABLE', 'no'));
  expect(fake.marks.size).toBe(0);
  intake.acceptMqtt('a', Buffer.from('1'), [['qos2/c/1', Buffer.from('x')]]);
  fake.commit();
  expect([...fake.marks.keys()]).toEqual(['qos2/c/1']);
});

test('a full batch is followed by another one in the same commit, none above the bound', () => {
  const { intake, fake } = open([], { batchBytesMax: 2000 });
  const noise = Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(300, `${Math.random()}`));
  const commits = noise.map((text) => intake.acceptMqtt('a', Buffer.from(text)));
  expect(new Set(commits).size).toBe(1);
  fake.commit();
  expect(fake.commits).toBe(1);
  expect(fake.batches('mqtt').length).toBeGreaterThan(3);
  for (const batch of fake.batches('mqtt')) expect(batch.length).toBeLessThanOrEqual(2000);
  expect(values(fake, 'mqtt')).toEqual(noise);
});

test('a record larger than a batch is refused, and the largest one is taken', () => {
  const { intake, fake } = open();
  expect(() => intake.acceptMqtt('a', Buffer.alloc(1024 * 1024))).toThrow(
    expect.objectContaining({ code: 'RECORD_TOO_LARGE' }),
  );
  const largest = Buffer.from(Array.from({ length: 1024 * 1023 - 103 }, () => Math.random() * 256));
  intake.acceptMqtt('a', largest);
  fake.commit();
  expect(fake.records('mqtt')).toHaveLength(1);
  expect(fake.batches('mqtt')[0]?.length).toBeLessThanOrEqual(1024 * 1023);
});

test('a failed commit is told to whoever waits for it, and the next one works', async () => {
  const { intake, fake } = open();
  const done = intake.acceptMqtt('a', Buffer.from('1'))?.done();
  fake.commit(new HeadwaterError('STORE_UNAVAILABLE', 'no room'));
  await expect(done).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  const again = intake.acceptMqtt('a', Buffer.from('1'))?.done();
  fake.commit();
  await again;
  expect(values(fake, 'mqtt')).toEqual(['1']);
});

test('what the log refuses to gather is not kept, and what it takes later is', () => {
  const { intake, fake } = open();
  fake.refuse(new HeadwaterError('LOG_CLOSED', 'closed'));
  expect(() => intake.acceptMqtt('a', Buffer.from('1'))).toThrow(expect.objectContaining({ code: 'LOG_CLOSED' }));
  expect(intake.status()).toMatchObject({ records: 0 });
  fake.refuse(undefined);
  intake.acceptMqtt('a', Buffer.from('2'));
  fake.commit();
  expect(values(fake, 'mqtt')).toEqual(['2']);
});

test('a topic that was deleted and made anew gets the messages', () => {
  const { intake, fake } = open();
  intake.acceptMqtt('a', Buffer.from('1'));
  fake.commit();
  fake.deleteTopic('mqtt');
  fake.createTopic('mqtt', 1);
  intake.acceptMqtt('a', Buffer.from('2'));
  fake.commit();
  expect(values(fake, 'mqtt')).toEqual(['2']);
});

test('MQTT clients cannot make more topics than allowed', () => {
  const { intake, fake } = open([{ mqtt: '+name', topic: '{name}' }], { topicsMax: 2 });
  intake.acceptMqtt('a', Buffer.from('1'));
  intake.acceptMqtt('b', Buffer.from('1'));
  expect(() => intake.acceptMqtt('c', Buffer.from('1'))).toThrow(expect.objectContaining({ code: 'TOPIC_INVALID' }));
  intake.acceptMqtt('a', Buffer.from('2'));
  fake.commit();
  expect(values(fake, 'a')).toEqual(['1', '2']);
});

test('a partition that the topic does not have is refused', () => {
  const { intake } = open([{ mqtt: 'a', topic: 't', partition: 7 }]);
  expect(() => intake.acceptMqtt('a', Buffer.from('1'))).toThrow(/no partition 7/);
});

test('more topics than are remembered are still routed rightly', () => {
  const { intake, fake } = open([PLANT, { mqtt: 'a/#', topic: 'others' }], { cachedTopicsMax: 4 });
  for (let round = 0; round < 3; round += 1) {
    for (let index = 0; index < 30; index += 1) intake.acceptMqtt(`a/${index}`, Buffer.from(`${index}`));
    intake.acceptMqtt('nowhere', Buffer.from('x'));
  }
  fake.commit();
  for (const record of fake.records('others')) expect(String(record.key)).toBe(`a/${String(record.value)}`);
  expect(fake.records('others')).toHaveLength(90);
  expect(intake.status().unrouted).toBe(3);
});

test('a commit is told how much it holds', () => {
  const { intake, fake } = open();
  for (let count = 0; count < 100; count += 1) intake.acceptMqtt('a', Buffer.alloc(100));
  expect(fake.grownBytes).toBeGreaterThan(100 * 100);
  expect(fake.grownBytes).toBeLessThan(100 * 150);
});

test('it is full while the log is, and waiting ends when it is aborted', async () => {
  const { intake, fake } = open();
  fake.setFull(true);
  expect(intake.isFull()).toBe(true);
  await intake.whenRoom(AbortSignal.timeout(1));
  expect(intake.isFull()).toBe(true);
  const room = intake.whenRoom();
  fake.setFull(false);
  await room;
});

test('records and bytes are counted by door', () => {
  const { intake } = open();
  intake.acceptMqtt('ab', Buffer.from('123'));
  intake.accept({ topic: 't', key: null, value: Buffer.from('1'), door: 'serial' });
  const bytes = intake.metrics().find((metric) => metric.name === 'intake_bytes_total');
  expect(bytes?.samples).toEqual([
    { labels: { door: 'mqtt' }, value: 5 },
    { labels: { door: 'serial' }, value: 1 },
  ]);
});

/** A clock that nobody has set yet; `set` ends that. */
function unsetClock() {
  const clock = { ...systemClock, wallMs: () => WALL_MS, doubt: undefined as ClockDoubt | undefined };
  const doubt: ClockDoubt = { boot: 7, bootId: '5f1d', upMs: (stampMs) => stampMs - WALL_MS + 3000, records: 0 };
  clock.doubt = doubt;
  return { clock, doubt, set: (shiftMs: number) => ((doubt.shiftMs = shiftMs), (clock.doubt = undefined)) };
}

test('while nobody knows the time, batches bear the boot and records say so; the times of others stay apart', () => {
  const { clock, doubt } = unsetClock();
  const { intake, fake } = open([], {}, clock);
  intake.accept({ topic: 't', key: null, value: Buffer.from('1') });
  intake.accept({ topic: 't', key: null, value: Buffer.from('2'), headers: [{ key: 'a', value: null }] });
  intake.accept({ topic: 't', key: null, value: Buffer.from('3'), timestampMs: 5, isTimeGiven: true });
  intake.accept({ topic: 't', key: null, value: Buffer.from('4') });
  fake.commit();
  const value = Buffer.from(JSON.stringify({ boot: '5f1d', upMs: 3000, stampMs: WALL_MS }));
  const stamped = { key: 'headwater.clock', value };
  expect(fake.batches('t').map(unsureBootIn)).toEqual([7, undefined, 7]);
  expect(fake.records('t').map(({ headers }) => headers)).toEqual([
    [stamped],
    [{ key: 'a', value: null }, stamped],
    [],
    [stamped],
  ]);
  expect(values(fake, 't')).toEqual(['1', '2', '3', '4']);
  expect(doubt.records).toBe(3);
});

test('when the clock is set, what comes next is in a batch of its own, and what waited is put right', () => {
  const { clock, doubt, set } = unsetClock();
  const { intake, fake } = open([], {}, clock);
  intake.accept({ topic: 't', key: null, value: Buffer.from('1') });
  set(1000);
  intake.accept({ topic: 't', key: null, value: Buffer.from('2') });
  intake.accept({ topic: 't', key: null, value: Buffer.from('3'), timestampMs: WALL_MS, doubt });
  fake.commit();
  expect(fake.batches('t').map(unsureBootIn)).toEqual([7, undefined]);
  expect(fake.records('t').map(({ timestampMs }) => timestampMs)).toEqual([WALL_MS, WALL_MS, WALL_MS + 1000]);
});

test('a record that has just room is not refused for the sake of its note', () => {
  const { clock } = unsetClock();
  const { intake, fake } = open([], { batchBytesMax: 1000 }, clock);
  intake.accept({ topic: 't', key: null, value: Buffer.alloc(890) });
  fake.commit();
  expect(fake.batches('t').map(unsureBootIn)).toEqual([7]);
  expect(fake.records('t')[0]!.headers).toEqual([]);
});
