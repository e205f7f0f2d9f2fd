// What is told about a rule in headwater.yaml, and where.

import { expect, test } from 'vitest';
import { explainConfig } from '../../src/config.ts';
import { roomMistakes } from '../../src/headwater.ts';

/** The mistakes in a file with one port, whose `decode` is given from the third line on. */
function told(decode: string, port = 'topic: boiler'): string[] {
  const text = `serial:\n  - { path: /dev/ttyS0, ${port},\n${decode}}\n`;
  try {
    explainConfig({ text, file: 'h.yaml', rooms: roomMistakes });
    return [];
  } catch (error) {
    return (error as Error).message.split('\n');
  }
}

const field = (more: string): string => `      decode: { struct: { fields: [{ name: x, ${more} }] } }`;

test('a rule without mistakes is taken', () => {
  expect(told(field('type: u16'))).toEqual([]);
  expect(told('      decode: utf8')).toEqual([]);
  expect(told(field('type: u16'), 'topic: boiler, framing: fixed, length: 2')).toEqual([]);
});

test.each<[string, string, string[], string?]>([
  ['an unknown word', '      decode: utf', ['h.yaml:3:15: serial[0].decode must be raw, utf8, json, or a group']],
  ['an unknown type', field('type: u18'), [/^h\.yaml:3:53: .*fields\[0\]\.type must be one of u8, .*mean u8\?/.source]],
  [
    'a name that is no setting',
    field('type: u8, ofset: 1'),
    [/^h\.yaml:3:\d+: .*ofset .*did you mean offset\?/.source],
  ],
  ['no kind', '      decode: { key: a }', ['h.yaml:3:15: serial[0].decode: one of struct, json, csv, utf8 is missing']],
  [
    'an overlap',
    '      decode: { struct: { fields: [\n        { name: a, type: u32 },\n        { name: b, type: u8, at: 2 }] } }',
    ['h.yaml:5:34: serial[0].decode.struct.fields[1].at: byte 2 overlaps a, bytes 0 to 3'],
  ],
  [
    'a struct beyond its frame',
    field('type: u32'),
    ['h.yaml:3:36: serial[0].decode.struct.fields[0]: bytes 0 to 3 is beyond the frame, which has 2 bytes'],
    'topic: boiler, framing: fixed, length: 2',
  ],
  [
    'a key of no field',
    '      decode: { csv: { columns: [{ name: id }] }, key: "{ide}" }',
    ['h.yaml:3:56: serial[0].decode.key: {ide} is no field that a key can have; did you mean id?'],
  ],
])('%s is told with its place', (_, decode, lines, port) => {
  const found = told(decode, port);
  expect(found).toHaveLength(lines.length);
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('^')) expect(found[index]).toMatch(new RegExp(line));
    else expect(found[index]).toContain(line);
  }
});
