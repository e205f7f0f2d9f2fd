// The demo counts what its sensors published, so a sensor must not lose a reading by itself: MQTT.js drops what it is
// handed while it sends again what was under way, if the connection ends meanwhile.

import { createServer, type AddressInfo, type Socket } from 'node:net';
import mqttPacket from 'mqtt-packet';
import { afterEach, expect, test } from 'vitest';
import { openMqttSensor, type Sensor } from '../../demo/sensors.ts';
import { until } from '../parts/until.ts';

/** So few that its window, of 100, is far from full before a slow machine has connected it again. */
const PER_SECOND = 20;

/** Whether a message is acknowledged. */
type Manner = 'mute' | 'whole';

let sensor: Sensor;
let socket: Socket | undefined;
let manner: Manner = 'whole';
let connections = 0;
const arrived: number[] = [];

const server = createServer((accepted) => {
  socket = accepted;
  accepted.on('error', () => undefined);
  const parser = mqttPacket.parser();
  accepted.on('data', (bytes) => void parser.parse(bytes));
  const send = (packet: mqttPacket.Packet): void => void accepted.write(mqttPacket.generate(packet));
  parser.on('packet', (packet) => {
    if (packet.cmd === 'connect') {
      connections += 1;
      send({ cmd: 'connack', returnCode: 0, sessionPresent: connections > 1 });
    } else if (packet.cmd === 'publish') {
      const { n } = JSON.parse(String(packet.payload)) as { n: number };
      if (!arrived.includes(n)) arrived.push(n);
      if (manner === 'whole') send({ cmd: 'pubrec', messageId: packet.messageId! });
    } else if (packet.cmd === 'pubrel') send({ cmd: 'pubcomp', messageId: packet.messageId! });
  });
});

afterEach(() => server.close());

test('a sensor hands over each reading in order, wherever its connection ends', async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  sensor = openMqttSensor('press', (server.address() as AddressInfo).port, PER_SECOND);
  const { counts } = sensor;
  await until('readings are acknowledged', () => counts.acknowledged >= 5);
  manner = 'mute';
  await until('readings are under way', () => counts.published - counts.acknowledged >= 5);
  const before = connections;
  socket!.destroy();
  await until('it is back', () => connections > before);
  const published = counts.published;
  await until('it has more readings than those that it sends again', () => counts.published > published + 5);
  manner = 'whole';
  socket!.destroy();

  await sensor.stop();

  expect(counts.acknowledged).toBe(counts.published);
  expect(arrived).toEqual(Array.from({ length: counts.published }, (_, n) => n));
});
