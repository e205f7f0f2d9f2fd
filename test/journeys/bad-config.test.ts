// A start that can not be: all mistakes of a configuration in one pass, and a folder that another node has.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { run } from '../cli/run-cli.ts';
import { openNode } from './open-node.ts';

const TEN_MISTAKES = `node: { name: "pump 7" }
data: { dirr: /var/lib/headwater, budget: 8 potatoes }
commit: { interval: 100 }
mqtt: { listen: 127.0.0.1:99999 }
http: { listn: off }
serial:
  - { path: /dev/ttyUSB0, baud: fast, topic: a/b }
topics:
  readings: { partitions: 0 }
mirror:
  - { name: dc, bootstrap: [] }
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-config-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a configuration with ten mistakes gives ten errors with their places in one pass, and opens nothing', async () => {
  const file = join(folder, 'headwater.yaml');
  await writeFile(file, TEN_MISTAKES);

  const { code, out, err } = await run(['serve', '--config', file]);

  const places = [...err.matchAll(/headwater\.yaml:(\d+):(\d+): (\S+)/g)].map(([, line, , name]) => `${line} ${name}`);
  expect(code).toBe(78);
  expect(out).toBe('');
  expect(places).toEqual([
    '1 node.name',
    '2 data.dirr',
    '2 data.budget',
    '3 commit.interval',
    '4 mqtt.listen',
    '5 http.listn',
    '7 serial[0].baud',
    '7 serial[0].topic',
    '9 topics.readings.partitions',
    '11 mirror[0].bootstrap',
  ]);
  expect(err).toMatch(/dirr.*did you mean.*dir/);
});

test('serve on a folder that a node has open says whose it is and to try later', async () => {
  const node = await openNode();
  try {
    const off = { mqtt: { listen: 'off' }, kafka: { listen: 'off' }, http: { listen: 'off' } };
    const file = join(folder, 'headwater.yaml');
    await writeFile(file, stringify({ data: { dir: node.folder }, ...off }));

    const { code, err } = await run(['serve', '--config', file]);

    expect(code).toBe(75);
    expect(err).toContain(`is in use by process ${process.pid}`);
  } finally {
    await node.remove();
  }
});
