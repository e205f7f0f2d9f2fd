import { expect, test } from 'vitest';
import { createFrame, readFrame } from '../../src/mqtt/frames.ts';

const MIB = 1024 * 1024;
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('a frame is whole when its last byte is there, and not before', () => {
  const frame = createFrame();
  const bytes = Buffer.concat([hex('c000'), hex('30 83 01'), Buffer.alloc(131), hex('d0')]);
  expect(readFrame(bytes, 0, MIB, frame)).toBe('whole');
  expect(frame).toEqual({ type: 12, flags: 0, start: 0, bodyStart: 2, end: 2 });
  expect(readFrame(bytes, 2, MIB, frame)).toBe('whole');
  expect(frame).toEqual({ type: 3, flags: 0, start: 2, bodyStart: 5, end: 136 });
  expect(readFrame(bytes, 136, MIB, frame)).toBe('partial');
  for (let length = 5; length < 136; length++) {
    expect(readFrame(bytes.subarray(0, length), 2, MIB, frame)).toBe('partial');
    expect(frame.end).toBe(136);
  }
  expect(readFrame(bytes.subarray(0, 4), 2, MIB, frame)).toBe('partial');
  expect(frame.end).toBe(0);
});

test.each([
  ['00', 0],
  ['7f', 127],
  ['8001', 128],
  ['ff7f', 16_383],
  ['808001', 16_384],
  ['ffff7f', 2_097_151],
  ['80808001', 2_097_152],
  ['ffffff7f', 268_435_455],
])('remaining length %s is %i', (length, expected) => {
  const frame = createFrame();
  readFrame(hex(`30${length}`), 0, 2 ** 30, frame);
  expect(frame.end - frame.bodyStart).toBe(expected);
});

test('a length of more than four bytes is malformed, one beyond the bound oversized', () => {
  const frame = createFrame();
  expect(readFrame(hex('30 80808080'), 0, MIB, frame)).toBe('malformed');
  expect(readFrame(hex('30 ffffff7f'), 0, MIB, frame)).toBe('oversized');
  expect(readFrame(hex('30 7e'), 0, 128, frame)).toBe('partial');
  expect(readFrame(hex('30 7f'), 0, 128, frame)).toBe('oversized');
});
