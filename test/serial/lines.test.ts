import { expect, test } from 'vitest';
import { createLineSplitter, type LineRules } from '../../src/serial/lines.ts';

interface Split {
  lines: string[];
  overlong: number;
}

function split(
  chunks: (string | Buffer)[],
  rules: Partial<Omit<LineRules, 'delimiter'>> & { delimiter?: string } = {},
): Split {
  const delimiter = Buffer.from(rules.delimiter ?? '\n');
  const splitter = createLineSplitter({ lineBytesMax: 100, overlong: 'drop', ...rules, delimiter });
  const lines: string[] = [];
  for (const chunk of chunks) splitter.push(Buffer.from(chunk), (line) => lines.push(line.toString('latin1')));
  return { lines, overlong: splitter.overlong() };
}

/** Every way of cutting `text` into chunks of one size. */
function cuts(text: string): string[][] {
  return Array.from({ length: text.length }, (_, size) => text.match(new RegExp(`[^]{1,${size + 1}}`, 'g')) ?? []);
}

test('lines are the same however the stream is cut', () => {
  for (const chunks of cuts('one\ntwo\r\n\n\r\nthree\r\rx\r\nfo\rur\nunfinished')) {
    expect(split(chunks).lines).toEqual(['one', 'two', 'three\r\rx', 'fo\rur']);
  }
});

test('a delimiter of several bytes is found across chunks, and a carriage return before it stays', () => {
  for (const chunks of cuts('one\r<>two<<>a>b<>\r<>')) {
    expect(split(chunks, { delimiter: '<>' }).lines).toEqual(['one\r', 'two<', 'a>b', '\r']);
  }
  for (const chunks of cuts('xaaay aab')) expect(split(chunks, { delimiter: 'aab' }).lines).toEqual(['xaaay ']);
});

test('a line of exactly the bound is taken, one byte more is dropped and counted once', () => {
  for (const chunks of cuts('12345\n123456\n12345\r\n1234567890123456789\nlast\n')) {
    expect(split(chunks, { lineBytesMax: 5 })).toEqual({ lines: ['12345', '12345', 'last'], overlong: 2 });
  }
});

test('a dropped line ends at its delimiter of several bytes, wherever the stream is cut', () => {
  for (const chunks of cuts('123456789012345678901234567890<-->ok<-->')) {
    expect(split(chunks, { lineBytesMax: 5, delimiter: '<-->' })).toEqual({ lines: ['ok'], overlong: 1 });
  }
});

test('an overlong line may be cut into lines of the bound', () => {
  for (const chunks of cuts('1234567890123\r\n12345\r\n1234567890\nok\n')) {
    const expected = ['12345', '67890', '123', '12345', '12345', '67890', 'ok'];
    expect(split(chunks, { lineBytesMax: 5, overlong: 'cut' })).toEqual({ lines: expected, overlong: 2 });
  }
});

test('bytes of every value are taken as they are', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index).filter((byte) => byte !== 10));
  expect(split([bytes, '\n'], { lineBytesMax: 300 }).lines).toEqual([bytes.toString('latin1')]);
});

test('a megabyte without a delimiter is held no longer than the bound', () => {
  const splitter = createLineSplitter({ delimiter: Buffer.from('\n'), lineBytesMax: 1000, overlong: 'drop' });
  for (let count = 0; count < 1024; count += 1) splitter.push(Buffer.alloc(1024, 'x'), () => expect.fail());
  expect(splitter.overlong()).toBe(1);
  expect(splitter.reset()).toBeLessThanOrEqual(1001);
});

test('after a reset the unfinished line is forgotten, a too long one also', () => {
  const splitter = createLineSplitter({ delimiter: Buffer.from('\n'), lineBytesMax: 5, overlong: 'drop' });
  const lines: string[] = [];
  splitter.push(Buffer.from('half'), () => expect.fail());
  expect(splitter.reset()).toBe(4);
  splitter.push(Buffer.from('much too long'), () => expect.fail());
  splitter.reset();
  splitter.push(Buffer.from('whole\n'), (line) => lines.push(String(line)));
  expect(lines).toEqual(['whole']);
});
