// The compose file in the eyes of compose itself, which reads and checks it without an engine. Needs docker-compose.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('compose finds no mistake in the file', () => {
  const { error, status, stderr, stdout } = spawnSync('docker-compose', ['-f', 'deploy/compose.yaml', 'config'], {
    encoding: 'utf8',
  });
  expect(error, 'docker-compose is missing: install the package docker-compose').toBeUndefined();
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toContain('apache/kafka:4.3.1');
});
