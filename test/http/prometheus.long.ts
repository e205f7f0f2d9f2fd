// What is scraped, in the eyes of Prometheus' own checker. Needs promtool (Debian: prometheus).
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { counter, gauge } from '../../src/metrics.ts';
import { openDoor } from './open-http.ts';

test('promtool finds nothing to complain about', async () => {
  const strange = [{ labels: { port: 'a"b\\c\nd' }, value: 1.5e-7 }];
  const door = await openDoor({
    metrics: () => [counter('records_in_total', 'Records taken in.', strange), gauge('backlog_bytes', 'Waits.', 1e15)],
  });
  const { text } = await door.ask('/metrics');
  await door.room.close();
  const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  expect(error, 'promtool is missing: install the package prometheus').toBeUndefined();
  expect(`${stdout}${stderr}`).toBe('');
  expect(status).toBe(0);
});
