import { expect, test } from 'vitest';
import { createFrameSplitter, type FrameConfig } from '../../src/serial/frames.ts';

const NO_SYNC = Buffer.alloc(0);
const DELIMITED = { kind: 'delimited', delimiter: hex('7e'), frameBytesMax: 4, overlong: 'drop' } as const;
const FIXED = { kind: 'fixed', length: 3, sync: NO_SYNC, idleMs: 10 } as const;
const PREFIXED = {
  kind: 'length-prefixed',
  lengthBytes: 1,
  endian: 'big',
  lengthOffset: 0,
  lengthAdjust: 0,
  header: 'drop',
  sync: NO_SYNC,
  frameBytesMax: 8,
  idleMs: 10,
} as const;
const GAPS = { kind: 'idle-gap', idleMs: 10, frameBytesMax: 4, overlong: 'drop' } as const;

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/[ .]/g, ''), 'hex');
}

interface Split {
  frames: string[];
  overlong: number;
  invalid: number;
  skipped: number;
}

/** Frames of a stream in hex, in which `~` is a silence; each part in chunks of `size`. */
function split(config: FrameConfig, stream: string, size = 1000): Split {
  const splitter = createFrameSplitter(config);
  const frames: string[] = [];
  const take = (frame: Buffer): void => void frames.push(frame.toString('hex'));
  for (const [index, part] of stream.split('~').entries()) {
    if (index > 0) splitter.idle(take);
    const bytes = hex(part);
    for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size), take);
  }
  return { frames, ...splitter.counts() };
}

const GOOD = { overlong: 0, invalid: 0, skipped: 0 };

test.each<[string, FrameConfig, string, string[], Partial<Split>?]>([
  ['frames end with their delimiter, empty ones are none', DELIMITED, '7e 0102 7e 7e 0d 7e ff', ['0102', '0d']],
  ['a carriage return is a byte of a frame', { ...DELIMITED, delimiter: hex('0a') }, '010d 0a', ['010d']],
  [
    'a delimiter may have several bytes',
    { ...DELIMITED, delimiter: hex('0d0a') },
    '01 0d0a 02 0d 0d0a',
    ['01', '020d'],
  ],
  ['a delimited frame above the bound is dropped', DELIMITED, '0102030405 7e 01 7e', ['01'], { overlong: 1 }],
  [
    'or cut',
    { ...DELIMITED, overlong: 'cut' },
    '0102030405 7e 01020304 7e',
    ['01020304', '05', '01020304'],
    { overlong: 1 },
  ],

  ['frames of one length', FIXED, '010203 040506 07', ['010203', '040506']],
  ['a silence ends an unfinished frame', FIXED, '0102 ~ 040506', ['040506'], { invalid: 1, skipped: 2 }],
  ['a silence between frames is nothing', FIXED, '~ 010203 ~ 040506', ['010203', '040506']],
  ['sync bytes stay in the frame', { ...FIXED, sync: hex('aa') }, 'aa0102 aaaaaa', ['aa0102', 'aaaaaa']],
  [
    'after bytes were lost the next sync bytes begin a frame',
    { ...FIXED, sync: hex('aa55') },
    'aa5501 02.aa.03 aa5504 aa5505',
    ['aa5501', 'aa5504', 'aa5505'],
    { invalid: 1, skipped: 3 },
  ],

  ['a length before the frame', PREFIXED, '02.0102 00 01.03', ['0102', '', '03']],
  ['of two bytes, little-endian', { ...PREFIXED, lengthBytes: 2, endian: 'little' }, '0200.0102', ['0102']],
  ['of four bytes', { ...PREFIXED, lengthBytes: 4 }, '00000002.0102', ['0102']],
  [
    'with bytes before it, and a checksum that it does not count',
    { ...PREFIXED, lengthOffset: 1, lengthAdjust: 2, header: 'keep' },
    'f1.01.01.cccc f2.00.cccc',
    ['f10101cccc', 'f200cccc'],
  ],
  ['that counts itself', { ...PREFIXED, lengthBytes: 2, lengthAdjust: -2 }, '0003.01 0002', ['01', '']],
  [
    'a length above the bound: all is skipped up to a silence',
    PREFIXED,
    '01.01 08.01.01.01 ~ 01.02',
    ['01', '02'],
    { invalid: 1, skipped: 4 },
  ],
  [
    'a length that is too small, too',
    { ...PREFIXED, lengthAdjust: -2 },
    '01.02.02 ~ 03.07',
    ['07'],
    { invalid: 1, skipped: 3 },
  ],
  [
    'with sync bytes up to the next of them',
    { ...PREFIXED, sync: hex('aa'), lengthOffset: 1 },
    'aa.01.01 00.aa.ff aa.01.02',
    ['01', '02'],
    { invalid: 1, skipped: 3 },
  ],
  ['a frame that stays unfinished', PREFIXED, '04.0102 ~ 01.03', ['03'], { invalid: 1, skipped: 3 }],

  ['silences end frames', GAPS, '01 ~ 0203 ~~ 01020304 ~ 05', ['01', '0203', '01020304']],
  ['one above the bound is dropped', GAPS, '0102030405 ~ 01 ~', ['01'], { overlong: 1 }],
  [
    'or is cut',
    { ...GAPS, overlong: 'cut' },
    '010203040506070809 ~ 01020304 ~',
    ['01020304', '05060708', '09', '01020304'],
    { overlong: 1 },
  ],
])('%s', (_, config, stream, frames, counts = {}) => {
  for (let size = 1; size < 30; size += 1) expect(split(config, stream, size)).toEqual({ frames, ...GOOD, ...counts });
});

test('after an interruption what was unfinished is forgotten, and the next byte begins a frame', () => {
  for (const [config, lost, next] of [
    [FIXED, '0102', '040506'],
    [PREFIXED, '04 01 02', '02.0405'],
    [GAPS, '0102', '0405'],
  ] as const) {
    const splitter = createFrameSplitter(config);
    const frames: string[] = [];
    const take = (frame: Buffer): void => void frames.push(frame.toString('hex'));
    splitter.push(hex(lost), take);
    expect(splitter.reset()).toBe(hex(lost).length);
    splitter.push(hex(next), take);
    splitter.idle(take);
    expect(frames).toHaveLength(1);
    expect(splitter.counts().skipped).toBe(0);
  }
});
