import { expect, test } from 'vitest';
import { FrameMemory } from '../../src/kafka/frame-memory.ts';

const KIB = 1024;
const MIB = KIB * KIB;

test('what was given back is used again, for requests of about that size, and only then', () => {
  const memory = new FrameMemory();
  const first = memory.take(100 * KIB);
  expect(first).toHaveLength(100 * KIB);
  expect(memory.take(100 * KIB).buffer).not.toBe(first.buffer);
  memory.giveBack(first);
  expect(memory.take(60 * KIB).buffer).not.toBe(first.buffer);
  const again = memory.take(128 * KIB);
  expect([again.buffer === first.buffer, again.length]).toEqual([true, 128 * KIB]);
});

test('what is given back twice, or was never taken, is not lent to two', () => {
  const memory = new FrameMemory();
  const frame = memory.take(64 * KIB);
  memory.giveBack(frame);
  memory.giveBack(frame);
  memory.giveBack(Buffer.allocUnsafeSlow(64 * KIB));
  memory.giveBack(Buffer.from('a piece of the memory that Node cuts small buffers from'));
  expect(memory.freeBytes).toBe(64 * KIB);
});

test('what is small or very large is made anew, and never more than some is kept', () => {
  const memory = new FrameMemory();
  const frames = [0, 1, 16 * KIB - 1, MIB + 1].map((bytes) => memory.take(bytes));
  expect(frames.map(({ length }) => length)).toEqual([0, 1, 16 * KIB - 1, MIB + 1]);
  for (const frame of frames) memory.giveBack(frame);
  expect(memory.freeBytes).toBe(0);
  for (const frame of Array.from({ length: 9 }, () => memory.take(MIB))) memory.giveBack(frame);
  expect(memory.freeBytes).toBe(4 * MIB);
});

test('what nobody needs is let go', () => {
  const memory = new FrameMemory();
  for (const frame of [MIB, MIB, 32 * KIB].map((bytes) => memory.take(bytes))) memory.giveBack(frame);
  memory.trim();
  memory.giveBack(memory.take(MIB));
  memory.trim();
  expect(memory.freeBytes).toBeGreaterThanOrEqual(MIB);
  expect(memory.freeBytes).toBeLessThan(2 * MIB);
  memory.trim();
  memory.trim();
  expect(memory.freeBytes).toBe(0);
});
