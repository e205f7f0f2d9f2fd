// A real Kafka that says no: to one topic for want of a permission, to another because a message is too large. Those
// partitions stop and say why; the others go on; and what was refused arrives once it is allowed.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { readTopic } from '../parts/kcat.ts';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectPublished, expectSame } from '../parts/ledger.ts';
import { openPublisher, readingOf, type Publisher } from '../parts/publisher.ts';
import { until } from '../parts/until.ts';

const AUTHORIZER = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
};
const LARGE_BYTES = 5_000;

let kafka: Kafka;
let appliance: Appliance;
const sensors: Publisher[] = [];

beforeAll(async () => {
  kafka = await startKafka({ config: AUTHORIZER });
});
afterAll(() => kafka.stop());
afterEach(async () => {
  for (const sensor of sensors.splice(0)) sensor.close();
  await appliance.remove();
});

async function given(node: string): Promise<void> {
  appliance = await createAppliance({
    node: { name: node },
    routes: [{ mqtt: '+topic/+key', topic: '{topic}', key: '{key}' }],
    mirror: [{ name: 'dc', bootstrap: [kafka.bootstrap] }],
  });
  await appliance.start();
}

function publish(topic: string, payloadOf?: (clientId: string, number: number) => string): void {
  const clientId = `sensor-${topic}`;
  const topicOf = (number: number): string => `${topic}/${number % 3}`;
  const options = { port: appliance.mqttPort, clientId, qos: 2 as const, perSecond: 500, total: 2_000, topicOf };
  sensors.push(openPublisher(payloadOf === undefined ? options : { ...options, payloadOf }));
}

async function allAcked(): Promise<void> {
  for (const sensor of sensors) await sensor.settled();
}

async function stateOf(topic: string): Promise<{ state: string; reason: string; unsent: number }> {
  const { partitions } = await appliance.mirror();
  const { state, reason = '', position, end } = partitions.find((each) => each.topic === topic)!;
  return { state, reason, unsent: end - position };
}

async function sentAll(topic: string): Promise<void> {
  await until(`${topic} is upstream`, async () => (await stateOf(topic)).unsent === 0);
}

async function expectUpstream(node: string, topic: string): Promise<void> {
  const sensor = sensors.find(({ clientId }) => clientId === `sensor-${topic}`)!;
  const keyOf = (mqttTopic: string): string => mqttTopic.split('/')[1]!;
  const count = await expectPublished(kafka.bootstrap, `${node}.${topic}`, [sensor], keyOf);
  expect(count).toEqual({ published: 2_000, acked: 2_000, found: 2_000, again: 0 });
  expect(await expectSame([appliance.kafka, topic], [kafka.bootstrap, `${node}.${topic}`])).toBe(2_000);
}

async function acl(verb: '--add' | '--remove', topic: string, operation: string): Promise<void> {
  const who =
    verb === '--add' ? ['--deny-principal', 'User:ANONYMOUS'] : ['--deny-principal', 'User:ANONYMOUS', '--force'];
  await kafka.tool('org.apache.kafka.tools.AclCommand', [verb, ...who, '--operation', operation, '--topic', topic]);
}

test.each(['Write', 'All'])(
  'a topic on which the upstream denies %s waits and says so, others go on',
  async (operation) => {
    const node = `deny-${operation.toLowerCase()}`;
    for (const topic of ['denied', 'open']) {
      await kafka.tool('TopicCommand', ['--create', '--topic', `${node}.${topic}`, '--partitions', '1']);
    }
    await acl('--add', `${node}.denied`, operation);
    await given(node);
    publish('denied');
    publish('open');
    await allAcked();
    await sentAll('open');
    await until('the refusal is told', async () => (await stateOf('denied')).state === 'refused');
    const { reason, unsent } = await stateOf('denied');
    const { mirrors, health } = await appliance.status();

    await acl('--remove', `${node}.denied`, operation);
    // It asks again by itself within a minute or so; a start asks at once.
    await appliance.terminate();
    await appliance.start();
    await sentAll('denied');

    expect(reason).toMatch(/AUTHORIZATION_FAILED\(29\)/);
    expect(unsent).toBe(2_000);
    expect(mirrors[0]!.problems).toEqual([expect.stringContaining('denied/0: ')]);
    expect(health.ok).toBe(true);
    for (const topic of ['denied', 'open']) await expectUpstream(node, topic);
  },
);

test('a message that is too large for the upstream stops its partition only, with what came before it sent', async () => {
  const node = 'large';
  const create = ['--create', '--partitions', '1', '--topic'];
  await kafka.tool('TopicCommand', [...create, `${node}.narrow`, '--config', 'max.message.bytes=2000']);
  await kafka.tool('TopicCommand', [...create, `${node}.wide`]);
  await given(node);
  publish('narrow', (clientId, number) => {
    const reading = readingOf(clientId, number);
    if (number !== 1_234) return reading;
    const noise = Array.from({ length: LARGE_BYTES }, () => String.fromCharCode(97 + Math.random() * 26)).join('');
    return `${reading.slice(0, -2)}${noise}"}`;
  });
  publish('wide');
  await allAcked();
  await sentAll('wide');
  await until('the refusal is told', async () => (await stateOf('narrow')).state === 'refused');
  const { reason, unsent } = await stateOf('narrow');
  const sent = await readTopic(kafka.bootstrap, `${node}.narrow`);

  const wider = ['--alter', '--entity-type', 'topics', '--entity-name', `${node}.narrow`, '--add-config'];
  await kafka.tool('kafka.admin.ConfigCommand', [...wider, 'max.message.bytes=100000']);
  await appliance.kill();
  await appliance.start();
  await sentAll('narrow');

  expect(reason).toMatch(/message too large \(offset 1234, \d+ bytes\): .*\(10\)/);
  expect({ sent: sent.length, unsent }).toEqual({ sent: 1_234, unsent: 766 });
  for (const topic of ['narrow', 'wide']) await expectUpstream(node, topic);
});
