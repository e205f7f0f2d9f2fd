// The udev rules that ship, by the grammar of udev(7): keys, operators, labels. udev.long.ts asks udev itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const text = readFileSync(join(import.meta.dirname, '../../deploy/65-headwater.rules'), 'utf8');
/** The rules in effect, and those that a person may put into effect. */
const rules = text.split('\n').map((line) => line.replace(/^#(?=[A-Z])/, ''));
const effective = rules.filter((line) => line !== '' && /^[A-Z]+[{=!+]/.test(line));

const KEY =
  /^(?:(?:ACTION|KERNEL|SUBSYSTEM|DRIVER|ATTRS?\{[\w/]+\}|ENV\{\w+\})(?:==|!=)|(?:ENV\{\w+\}|ATTR\{[\w/]+\}|GROUP|MODE|GOTO|LABEL)=|SYMLINK\+=)"[^"]+"$/;

test('every rule is made of keys that udev knows', () => {
  const unknown = effective.flatMap((rule) => rule.split(/,\s+/)).filter((token) => !KEY.test(token));
  expect(unknown).toEqual([]);
  expect(effective.length).toBeGreaterThan(8);
  expect(rules.filter((line) => line !== '' && !line.startsWith('#'))).toEqual(effective);
});

test('every label that is gone to is there, further down', () => {
  const label = effective.findIndex((rule) => rule === 'LABEL="headwater_end"');
  expect(label).toBe(effective.length - 1);
  for (const [, name] of text.matchAll(/GOTO="(\w+)"/g)) expect(name).toBe('headwater_end');
});

test('ModemManager leaves the adapters alone, and the ports belong to dialout', () => {
  const ignoring = effective.find((rule) => rule.includes('ID_MM_DEVICE_IGNORE'));
  for (const vendor of ['0403', '10c4', '1a86', '2341']) expect(ignoring).toMatch(new RegExp(`"[^"]*\\b${vendor}\\b`));
  expect(ignoring).toContain('ENV{ID_MM_PORT_IGNORE}="1"');
  expect(effective.some((rule) => rule.includes('GROUP="dialout"'))).toBe(true);
});
