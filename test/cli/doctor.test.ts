// The doctor on a running node, on the folder of one that does not run, and where nobody answers.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Check } from '../../src/doctor/doctor.ts';
import { openNode, type Node } from '../journeys/open-node.ts';
import { run } from './run-cli.ts';

interface Said {
  severity: string;
  checks: Check[];
}

let files: string;
let node: Node | undefined;

beforeAll(() => {
  files = mkdtempSync(join(tmpdir(), 'headwater-doctor-'));
});

beforeEach(() => {
  node = undefined;
});

afterEach(async () => node?.remove());
afterAll(() => rmSync(files, { recursive: true }));

function checkOf(out: string, id: string): Check | undefined {
  return (JSON.parse(out) as Said).checks.find((check) => check.id === id);
}

test('a running node: what is not fine, with what to do next; the exit code is the worst of it', async () => {
  node = await openNode({ mqtt: { listen: '0.0.0.0:0', insecure: true } });
  chmodSync(node.folder, 0o700);
  const { code, out } = await run(['doctor', '--url', node.http, '-o', 'json']);
  const { severity, checks } = JSON.parse(out) as Said;
  expect(checkOf(out, 'HW010')).toMatchObject({
    severity: 'warning',
    next: expect.stringContaining('mqtt.users') as string,
  });
  expect(checkOf(out, 'HW008')).toMatchObject({ severity: 'ok' });
  expect(checkOf(out, 'HW021')).toMatchObject({ severity: 'ok' });
  // What else this machine lacks, such as a time server, is its own: the worst of all decides.
  const worst = checks.some((check) => check.severity === 'error') ? 'error' : 'warning';
  expect([severity, code]).toEqual([worst, worst === 'error' ? 10 : 1]);
  const text = (await run(['doctor', '--url', node.http])).out;
  expect(text).toContain('HW010 WARNING doors to the network: everybody who reaches it may use mqtt (0.0.0.0:');
  expect(text).toMatch(/\n {14}-> set mqtt\.users\n/);
  expect(text).not.toContain('HW008');
  expect((await run(['doctor', '--url', node.http, '--all'])).out).toContain('HW008 ok ');
});

test('the folder of a node that does not run', async () => {
  node = await openNode();
  await node.stop();
  chmodSync(node.folder, 0o755);
  const { out } = await run(['doctor', '--data', node.folder, '-o', 'json']);
  expect(checkOf(out, 'HW002')).toMatchObject({ severity: 'ok', found: 'the log can be opened' });
  expect(checkOf(out, 'HW008')).toMatchObject({ severity: 'warning', next: `chmod o-rwx ${node.folder}` });
  expect(checkOf(out, 'HW007')).toBeUndefined();
});

test('nobody answers: that is told as a check, beside the mistakes of the configuration', async () => {
  const bad = join(files, 'bad.yaml');
  writeFileSync(bad, 'mqt: {}\n');
  const wrong = await run(['doctor', '-c', bad, '-o', 'json']);
  expect(wrong.code).toBe(10);
  expect(checkOf(wrong.out, 'HW021')).toMatchObject({
    severity: 'error',
    found: expect.stringContaining('mqt is not a setting') as string,
  });
  const away = await run(['doctor', '--url', '127.0.0.1:1', '-o', 'json']);
  expect(away.code).toBe(3);
  expect(checkOf(away.out, 'HW020')).toMatchObject({
    severity: 'error',
    next: expect.stringContaining('systemctl status') as string,
  });
});
