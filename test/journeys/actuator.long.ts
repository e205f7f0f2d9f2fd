// Commands from the site's Kafka producers to MQTT actuators: an idempotent producer writes them one after another, a rule
// brings them to subscribers of each QoS, and headwater is killed in the midst, again and again.

import kafkajs from 'kafkajs';
import { expect, onTestFinished, test } from 'vitest';
import { createAppliance } from '../parts/appliance.ts';
import { subscribeOnce } from '../parts/subscriber.ts';
import { pause, until } from '../parts/until.ts';

const COMMANDS = 240;
const KILLS = 4;
const KEY = 'pump-7/set';

test(`${COMMANDS} commands reach an actuator of QoS 2 once and in order, whatever is killed`, async () => {
  const appliance = await createAppliance({
    mqtt: { publish: [{ topic: 'valves', mqttTopic: 'site/{topic}/{key}', qos: 2 }] },
    commit: { interval: '10ms' },
  });
  onTestFinished(() => appliance.remove());
  await appliance.start();
  const [once, atLeastOnce, atMostOnce] = await Promise.all(
    ([2, 1, 0] as const).map((qos) => subscribeOnce(appliance.mqttPort, `valve-${qos}`, 'site/valves/#', qos)),
  );
  onTestFinished(async () => {
    for (const subscriber of [once!, atLeastOnce!, atMostOnce!]) await subscriber.stop();
  });
  const kafka = new kafkajs.Kafka({
    brokers: [appliance.kafka],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 200 },
  });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  onTestFinished(() => producer.disconnect());
  let sent = 0;
  const sending = (async () => {
    for (; sent < COMMANDS; sent++) {
      await producer.send({ topic: 'valves', messages: [{ key: KEY, value: String(sent) }] });
    }
  })();
  for (let kill = 1; kill <= KILLS; kill++) {
    await until('some more are sent', () => sent >= (kill * COMMANDS) / (KILLS + 1), 120_000);
    await pause(5 * kill);
    await appliance.kill();
    await appliance.start();
  }
  await sending;
  const expected = Array.from({ length: COMMANDS }, (_, index) => String(index));
  const told = (): string =>
    `${once!.messages.length}, ${atLeastOnce!.messages.length}, ${atMostOnce!.messages.length}`;
  const has = (messages: readonly { payload: string }[]): boolean => {
    return new Set(messages.map(({ payload }) => payload)).size === COMMANDS;
  };
  await until('all have come', () => has(once!.messages) && has(atLeastOnce!.messages), 60_000, told);
  console.log(`of ${COMMANDS} commands came with QoS 2, 1 and 0: ${told()}`);
  expect(once!.messages.map(({ payload }) => payload)).toEqual(expected);
  expect(new Set(once!.messages.map(({ topic }) => topic))).toEqual(new Set([`site/valves/${KEY}`]));
  // What it gets again it gets behind a reconnect; what it gets first comes in order.
  expect([...new Set(atLeastOnce!.messages.map(({ payload }) => payload))]).toEqual(expected);
  // Who was away when it came goes without it; and nothing comes twice.
  const few = atMostOnce!.messages.map(({ payload }) => Number(payload));
  expect(few).toEqual([...new Set(few)].toSorted((a, b) => a - b));
  expect(few.length).toBeGreaterThan(COMMANDS / 4);
});
