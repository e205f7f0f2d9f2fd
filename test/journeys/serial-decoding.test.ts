// A device's bytes, decoded by a rule, as a Kafka client on the site reads them.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { fakePorts } from '../fakes/serial-port.ts';
import { until } from '../parts/until.ts';
import { openNode, readPartition, type Node } from './open-node.ts';

const ports = fakePorts();
const METER = '/dev/serial/by-id/usb-meter';
const SCALE = '/dev/serial/by-id/usb-scale';

const struct = {
  align: 'natural',
  fields: [
    { name: 'id', type: 'u8' },
    { name: 'ts', type: 'u32' },
    { name: 'kWh', type: 'u64', scale: 0.001 },
  ],
};

let node: Node;

beforeAll(async () => {
  ports.plug(METER);
  ports.plug(SCALE);
  const serial = [
    {
      path: METER,
      name: 'meter',
      topic: 'energy',
      framing: 'fixed',
      length: 16,
      decode: { struct, key: 'meter-{id}', time: { field: 'ts' } },
    },
    {
      path: SCALE,
      name: 'scale',
      topic: 'weights',
      decode: { csv: { separator: ';', decimal: ',', columns: [{ name: 'kg' }] }, failed: { topic: 'weights.odd' } },
    },
  ];
  node = await openNode({ serial }, { openPort: ports.openPort });
  await until('both ports are open', () => ports.isOpen(METER) && ports.isOpen(SCALE));
});

afterAll(() => node.remove());

const committed = (): number => node.headwater.status().log.appended.records;

test('a struct from a meter is JSON with its own key and time', async () => {
  const seconds = Math.floor(Date.now() / 1000) - 60;
  const frame = Buffer.alloc(16, 0xaa);
  frame[0] = 7;
  frame.writeUInt32LE(seconds, 4);
  frame.writeBigUInt64LE(9_007_199_254_740_993n, 8);
  const before = committed();
  ports.send(METER, frame);
  await until('the record is in the log', () => committed() === before + 1);
  expect(await readPartition(node.kafka, 'energy')).toEqual([
    {
      key: 'meter-7',
      value: `{"id":7,"ts":${seconds},"kWh":9007199254740.993}`,
      headers: { 'serial.port': 'meter' },
      timestampMs: seconds * 1000,
    },
  ]);
});

test('what does not fit is in the side topic, byte for byte, and counted for Prometheus', async () => {
  const before = committed();
  ports.send(SCALE, '12,50\r\n--E3--\r\n');
  await until('both records are in the log', () => committed() === before + 2);
  expect((await readPartition(node.kafka, 'weights'))[0]?.value).toBe('{"kg":12.50}');
  expect(await readPartition(node.kafka, 'weights.odd')).toMatchObject([
    { key: 'scale', value: '--E3--', headers: { 'decode.reason': 'column 1, kg, is "--E3--", which is no number' } },
  ]);
  const metrics = await (await fetch(`${node.http}/metrics`)).text();
  expect(metrics).toContain('headwater_serial_undecoded_total{port="scale"} 1');
  expect(metrics).toContain('headwater_serial_undecoded_total{port="meter"} 0');
});
