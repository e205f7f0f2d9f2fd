import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from './run-cli.ts';

const CONFIG = `
serial:
  - path: /dev/serial/by-id/usb-meter
    name: meter
    topic: energy
    framing: fixed
    length: 4
    decode:
      struct:
        fields:
          - { name: id, type: u16 }
          - { name: t, type: i16, scale: 0.01, unit: degC }
      key: "{id}"
  - path: /dev/ttyS1
    topic: weights
    key: { field: 1, separator: ";" }
    decode: { csv: { separator: ";", columns: [{ name: id, type: text }, { name: kg }], header: "id;kg" } }
  - path: /dev/ttyS2
    topic: boards
    framing: bridge
    channels: [{ channel: "env/*", topic: climate, decode: { utf8: true, key: "{channel}" } }]
`;

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-decode-'));
  file = join(folder, 'headwater.yaml');
  await writeFile(file, CONFIG);
});

afterAll(() => rm(folder, { recursive: true }));

const decode = (...args: string[]): ReturnType<typeof run> => run(['serial', 'decode', '-c', file, ...args]);

test('a frame in hex is shown as the record that it becomes', async () => {
  const { code, out } = await decode('-p', 'meter', '07 00 d2 04');
  expect(code).toBe(0);
  expect(out).toMatch(
    /^topic: +energy\nkey: +7\ntime: +20.*Z\nvalue: +{"id":7,"t":12\.34}\nheader: +serial\.port: meter\nheader: +units: {"t":"degC"}\n$/,
  );
});

test('a frame that does not fit says why, where it goes, and fails the command', async () => {
  const { code, out } = await decode('-p', 'meter', '0x07:00');
  expect(code).toBe(1);
  expect(out).toContain('does not fit: the frame has 2 bytes, the struct 4\n');
  expect(out).toMatch(/topic: +energy\.undecoded\n/);
  expect(out).toMatch(/value: +0700 \(2 bytes, as they came\)\n/);
});

test('as JSON, a line for each frame', async () => {
  const { code, out } = await decode('-p', 'ttyS1', '-o', 'json', '--text', 'a;1.50', 'id;kg', 'b;x');
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toMatchObject([
    { kind: 'record', topic: 'weights', key: 'a', value: '{"id":"a","kg":1.50}' },
    { kind: 'heading' },
    {
      kind: 'undecoded',
      topic: 'weights.undecoded',
      key: 'b',
      valueHex: '623b78',
      reason: expect.stringContaining('"x"'),
    },
  ]);
  expect(code).toBe(1);
});

test('a channel has its own rule', async () => {
  const { out } = await decode('-p', 'ttyS2', '--channel', 'env/t', '-t', '21.5');
  expect(out).toMatch(/^topic: +climate\nkey: +env\/t\n/);
});

test.each([
  [['01'], 2, /^headwater: say which port by --port: there are meter, \/dev\/ttyS1, \/dev\/ttyS2\n/],
  [['-p', 'metre', '01'], 2, /--port metre is no port, or several: there are meter/],
  [['-p', 'meter', '0g'], 2, /"0g" is not bytes in hex/],
  [['-p', 'meter'], 2, /missing required argument 'frames'/],
])('%j is refused with exit code %i', async (args, exitCode, message) => {
  const { code, err } = await decode(...args);
  expect(code).toBe(exitCode);
  expect(err).toMatch(message);
});
