// Records of the log as MQTT messages: a real log on a folder, a door over tables in memory that can crash.

import { afterEach, expect, test } from 'vitest';
import { openIntake, type Intake } from '../../src/intake/intake.ts';
import { systemClock } from '../../src/clock.ts';
import { openLogFolder, silent, type OpenLogFolder } from '../log/open-log.ts';
import type { RawClient } from './raw-client.ts';
import { openRoom, settleDown, until, type TestRoom } from './room.ts';

const RULE = { topic: 'plant', mqttTopic: 'site/{topic}/{key}', qos: 2 } as const;
const SUB = { clientId: 'sub', clean: false };

let opened: OpenLogFolder;
let given: TestRoom;
afterEach(async () => {
  await given.close();
  await opened.remove();
});

async function open(): Promise<void> {
  opened = await openLogFolder();
  given = await openRoom({}, {}, { publish: { log: opened.log, rules: [RULE] } });
}

async function add(value: string, key: string | null = 'pump-7/level', topic = 'plant'): Promise<void> {
  const intake: Intake = openIntake({ log: opened.log, routes: [], nodeName: 'n', clock: systemClock, trace: silent });
  await intake.accept({ topic, key: key === null ? null : Buffer.from(key), value: Buffer.from(value) }).done();
}

async function hears(client: RawClient, count: number): Promise<string[]> {
  const heard: string[] = [];
  while (heard.length < count) {
    const { topic, payload, qos, messageId } = await client.next('publish');
    heard.push(`${topic} ${String(payload)} ${qos}`);
    if (qos === 2) client.send({ cmd: 'pubrec', messageId: messageId! });
  }
  return heard;
}

const published = () => given.room.status().published[0]!;

test('what is added to a topic reaches subscribers after its commit, in order', async () => {
  await open();
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('site/#', 2);
  await add('1');
  await add('2');
  await add('3', 'boiler');
  expect(await hears(client, 3)).toEqual([
    'site/plant/pump-7/level 1 2',
    'site/plant/pump-7/level 2 2',
    'site/plant/boiler 3 2',
  ]);
  expect(published()).toMatchObject({ topic: 'plant', routed: 3, waiting: 0 });
});

test('a session that is away across a crash gets each record once', async () => {
  await open();
  const client = await given.connect(SUB);
  await client.subscribe('site/plant/#', 2);
  client.hangUp();
  await until(() => given.room.status().clients === 0);
  for (let number = 0; number < 20; number++) await add(String(number));
  await until(() => published().routed === 20);
  given = await given.crash();
  for (let number = 20; number < 25; number++) await add(String(number));
  await until(() => given.room.status().queued.messages === 25);
  const again = await given.connect(SUB);
  const heard = await hears(again, 25);
  expect(heard.map((line) => Number(line.split(' ')[1]))).toEqual(Array.from({ length: 25 }, (_, number) => number));
  await settleDown();
  expect(again.cmds().filter((cmd) => cmd === 'publish')).toEqual([]);
});

test('what is added while the door is closed is published by the next one', async () => {
  await open();
  const client = await given.connect(SUB);
  await client.subscribe('site/#', 1);
  await given.close();
  await add('meanwhile');
  given = await openRoom({}, { rows: given.tables.rows }, { publish: { log: opened.log, rules: [RULE] } });
  expect(await hears(await given.connect(SUB), 1)).toEqual(['site/plant/pump-7/level meanwhile 1']);
});

test('a new rule begins at the end of its topic', async () => {
  opened = await openLogFolder();
  await add('before');
  given = await openRoom({}, {}, { publish: { log: opened.log, rules: [RULE] } });
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('#', 0);
  await add('after');
  expect(await hears(client, 1)).toEqual(['site/plant/pump-7/level after 0']);
});

test('a topic that is made anew is read from its beginning', async () => {
  await open();
  await add('old');
  await until(() => published().waiting === 0);
  await opened.log.deleteTopic('plant');
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('#', 1);
  await add('new');
  expect(await hears(client, 1)).toEqual(['site/plant/pump-7/level new 1']);
});

test('a key that makes no MQTT topic is counted, and holds nothing up', async () => {
  await open();
  const client = await given.connect({ clientId: 'sub' });
  await client.subscribe('#', 1);
  await add('bad', 'a/#');
  await add('none', null);
  expect(await hears(client, 1)).toEqual(['site/plant/ none 1']);
  expect(published()).toMatchObject({ unnamed: 1, routed: 1 });
});
