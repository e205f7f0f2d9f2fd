// What an operator starts from: the compose file is YAML, and the settings in it are settings.
import { readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.ts';

interface Compose {
  services: Record<string, { environment: Record<string, string>; ports: string[]; image?: string }>;
}

const compose = parse(readFileSync('deploy/compose.yaml', 'utf8')) as Compose;

test("headwater's environment in the compose file is a valid configuration", () => {
  const config = loadConfig({ env: compose.services['headwater']!.environment });
  expect(config.node.name).toBe('pump-7');
  expect(config.mirror).toMatchObject([{ name: 'dc', bootstrap: ['kafka:9092'] }]);
  expect(config.mqtt.listen).toEqual({ host: '0.0.0.0', port: 1883 });
});

test('every port of the compose file is published on loopback only', () => {
  const ports = Object.values(compose.services).flatMap((service) => service.ports);
  expect(ports.length).toBeGreaterThan(3);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
});

test('the installed command and the service run the same program with the same configuration', () => {
  const command = readFileSync('deploy/headwater', 'utf8');
  const unit = readFileSync('systemd/headwater.service', 'utf8');
  const [, node, main] = /^exec (\S+) (\S+) "\$@"$/m.exec(command) ?? [];
  const start = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ');
  expect([start?.[0], start?.at(-2)]).toEqual([node, main]);
  const config = /^Environment=HEADWATER_CONFIG=(.*)$/m.exec(unit)?.[1];
  expect(command).toContain(`"\${HEADWATER_CONFIG-${config}}"`);
  expect(statSync('deploy/headwater').mode & 0o111).toBe(0o111);
});

test('an image that is run by itself keeps its data in its volume', () => {
  const dockerfile = readFileSync('deploy/Dockerfile', 'utf8');
  const volume = /^VOLUME (.*)$/m.exec(dockerfile)?.[1];
  expect(dockerfile).toMatch(new RegExp(`^ENV .*HEADWATER_DATA__DIR=${volume}( |$)`, 'm'));
});

test('what the image is made of is there, and the compose file names it', () => {
  const dockerfile = readFileSync('deploy/Dockerfile', 'utf8');
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, names]) => names!.split(' '));
  const kept = readFileSync('deploy/Dockerfile.dockerignore', 'utf8').matchAll(/^!(.*)$/gm);
  expect(copied.toSorted()).toEqual([...kept].map(([, name]) => name!).toSorted());
});
