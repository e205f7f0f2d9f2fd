// A unit on a Modbus line, from its registers to a Kafka client, and from a record of a topic to its registers.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { crc16 } from '../../src/serial/modbus/crc-16.ts';
import { fakePorts } from '../fakes/serial-port.ts';
import { until } from '../parts/until.ts';
import { openNode, readPartition, type Node } from './open-node.ts';

const ports = fakePorts();
const LINE = '/dev/serial/by-id/usb-rs485';
const registers = [{ name: 'setpoint', address: 5, scale: 0.5, writable: true, deadband: 0 }];
const serial = [
  {
    path: LINE,
    name: 'cellar',
    topic: 'readings',
    framing: 'modbus-rtu',
    interval: '20ms',
    // The unit is never late, however busy the machine.
    timeout: '10s',
    units: [{ id: 3, name: 'pump', registers }],
    commands: { topic: 'orders', results: 'results' },
  },
];

/** Unit 3 with one register: answers whatever was asked of it since it last looked. */
let register = 40;
const unit = setInterval(() => {
  const request = ports.sent(LINE);
  if (request.length === 0) return;
  if (request[1] === 6) register = request.readUInt16BE(4);
  const answer = request[1] === 6 ? request.subarray(0, 6) : Buffer.of(3, 3, 2, register >> 8, register & 0xff);
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc16(answer));
  ports.send(LINE, Buffer.concat([answer, sum]));
}, 1);

let node: Node;
beforeAll(async () => {
  ports.plug(LINE);
  node = await openNode({ serial }, { openPort: ports.openPort });
});
afterAll(async () => {
  clearInterval(unit);
  await node.remove();
});

test('a register becomes a record when it changes; a command changes it, and is answered', async () => {
  const [reading] = await untilRead('readings', 1);
  expect(reading).toMatchObject({
    key: 'cellar/pump/setpoint',
    value: '{"device":"pump","id":3,"name":"setpoint","value":20}',
    headers: { 'serial.port': 'cellar' },
  });
  const body = JSON.stringify({ value: { id: 'a1', unit: 'pump', name: 'setpoint', value: 21.5 } });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${node.http}/topics/orders/records`, { method: 'POST', headers, body });
  expect(answer.status).toBe(200);
  const [result] = await untilRead('results', 1);
  expect(JSON.parse(result!.value!)).toEqual({
    id: 'a1',
    unit: 'pump',
    name: 'setpoint',
    outcome: 'done',
    command: { topic: 'orders', partition: 0, offset: 0 },
  });
  const [, changed] = await untilRead('readings', 2);
  expect(changed!.value).toBe('{"device":"pump","id":3,"name":"setpoint","value":21.5}');
  expect(register).toBe(43);
});

async function untilRead(topic: string, count: number): ReturnType<typeof readPartition> {
  const end = async (): Promise<number> => {
    const answer = await fetch(`${node.http}/topics/${topic}/partitions/0/records?count=1000&format=jsonl`);
    return answer.ok ? (await answer.text()).split('\n').length - 1 : 0;
  };
  await until(`${count} records of ${topic}`, async () => (await end()) >= count);
  return readPartition(node.kafka, topic);
}
