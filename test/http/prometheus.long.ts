// What is scraped, in the eyes of Prometheus' own checker. Needs promtool (Debian: prometheus).
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { counter, gauge } from '../../src/metrics.ts';
import { openNode, readPartition } from '../journeys/open-node.ts';
import { freePort } from '../parts/kafka.ts';
import { openDoor } from './open-http.ts';

function expectSound(text: string): void {
  const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  expect(error, 'promtool is missing: install the package prometheus').toBeUndefined();
  expect(`${stdout}${stderr}`).toBe('');
  expect(status).toBe(0);
}

test('promtool finds nothing to complain about in names and labels of any kind', async () => {
  const strange = [{ labels: { port: 'a"b\\c\nd' }, value: 1.5e-7 }];
  const door = await openDoor({
    metrics: () => [counter('records_in_total', 'Records taken in.', strange), gauge('backlog_bytes', 'Waits.', 1e15)],
  });
  const { text } = await door.ask('/metrics');
  await door.room.close();
  expectSound(text);
});

test('nor in those of a whole node with all its rooms at work', async () => {
  const nowhere = `127.0.0.1:${await freePort()}`;
  const registers = [{ name: 'level', type: 'uint16', address: 0 }];
  const node = await openNode({
    serial: [
      { path: '/dev/none/line', name: 'line', topic: 'lines', decode: { json: {} } },
      { path: '/dev/none/bridge', name: 'board', framing: 'bridge', topic: 'board' },
      {
        path: '/dev/none/modbus',
        name: 'meters',
        framing: 'modbus-rtu',
        topic: 'meters',
        commands: { topic: 'orders', results: 'answers' },
        units: [{ id: 1, name: 'tank', registers }],
      },
    ],
    mirror: ['dc', 'other'].map((name) => ({ name, bootstrap: [nowhere] })),
  });
  try {
    const client = await node.mqtt();
    await client.publishAsync('a/b', 'one', { qos: 2, retain: true });
    await readPartition(node.kafka, 'mqtt');
    const text = await (await fetch(`${node.http}/metrics`)).text();
    for (const room of ['log', 'intake', 'mqtt', 'serial', 'kafka', 'mirror', 'http', 'wear']) {
      expect(text).toContain(`\nheadwater_${room}_`);
    }
    expectSound(text);
  } finally {
    await node.remove();
  }
});
