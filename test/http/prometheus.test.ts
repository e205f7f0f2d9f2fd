// The text that Prometheus scrapes. That it is right in Prometheus' own eyes is the long suite's to show.

import { expect, test } from 'vitest';
import { renderMetrics } from '../../src/http/prometheus.ts';
import { counter, gauge } from '../../src/metrics.ts';
import { openDoor } from './open-http.ts';

test('one metric of several rooms is one family', () => {
  const text = renderMetrics([
    counter('records_in_total', 'Records taken in.', [{ labels: { door: 'mqtt' }, value: 5 }]),
    gauge('backlog_bytes', 'Waiting.', 0),
    counter('records_in_total', 'Records taken in.', [{ labels: { door: 'kafka' }, value: 7 }]),
  ]);
  expect(text).toBe(
    [
      '# HELP headwater_records_in_total Records taken in.',
      '# TYPE headwater_records_in_total counter',
      'headwater_records_in_total{door="mqtt"} 5',
      'headwater_records_in_total{door="kafka"} 7',
      '# HELP headwater_backlog_bytes Waiting.',
      '# TYPE headwater_backlog_bytes gauge',
      'headwater_backlog_bytes 0',
      '',
    ].join('\n'),
  );
});

test('names that would break a line are escaped', () => {
  const text = renderMetrics([gauge('port', 'a\\b\nc', [{ labels: { port: 'a"b\\c\nd' }, value: Infinity }])]);
  expect(text).toContain('# HELP headwater_port a\\\\b\\nc\n');
  expect(text).toContain('headwater_port{port="a\\"b\\\\c\\nd"} +Inf\n');
});

test('the process tells its own numbers', async () => {
  const door = await openDoor({ metrics: () => [counter('records_in_total', 'Records taken in.', 5)] });
  const { text, headers } = await door.ask('/metrics');
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(text).toContain('headwater_records_in_total 5\n');
  expect(text).toContain('headwater_build_info{version="1.2.3"} 1\n');
  expect(Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(1e7);
  expect(text).toMatch(/^headwater_http_connections 1$/m);
  await door.room.close();
});
