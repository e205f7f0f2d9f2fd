import { expect, test } from 'vitest';
import { AnswerMemory } from '../../src/kafka/answer-memory.ts';

const KIB = 1024;
const MIB = KIB * KIB;

test('what is taken is nobody else’s until it is given back', () => {
  const memory = new AnswerMemory();
  const loans = [memory.lend(), memory.lend()];
  const taken = [300, 17, 700, 1024, 64, 999].flatMap((kib, index) => {
    return loans.map(({ allocate }, loan) => allocate(kib * KIB - index).fill(16 * index + loan));
  });
  for (const [index, each] of taken.entries()) {
    expect(each.every((byte) => byte === 16 * (index >> 1) + (index & 1))).toBe(true);
  }
});

test('blocks that were given back are used again, and only then', () => {
  const memory = new AnswerMemory();
  const first = memory.lend();
  const [one, two] = [first.allocate(MIB), first.allocate(MIB)];
  first.giveBack();
  first.giveBack();
  expect(memory.freeBytes).toBe(2 * MIB);
  const second = memory.lend();
  const again = [second.allocate(MIB), second.allocate(MIB), second.allocate(MIB)];
  expect(again.filter(({ buffer }) => buffer === one.buffer || buffer === two.buffer)).toHaveLength(2);
  expect(new Set(again.map(({ buffer }) => buffer)).size).toBe(3);
});

test('what is small, or larger than a block, has memory of its own', () => {
  const memory = new AnswerMemory();
  const loan = memory.lend();
  for (const bytes of [0, 1, 64 * KIB, MIB + 1]) expect(loan.allocate(bytes).buffer.byteLength).toBe(bytes);
  loan.giveBack();
  expect(memory.freeBytes).toBe(0);
});

test('blocks that nobody needs are let go, and never more than some are kept', () => {
  const memory = new AnswerMemory();
  const loan = memory.lend();
  for (let count = 0; count < 30; count += 1) loan.allocate(MIB);
  loan.giveBack();
  expect(memory.freeBytes).toBe(10 * MIB);
  memory.trim();
  const next = memory.lend();
  next.allocate(MIB);
  next.allocate(MIB);
  next.giveBack();
  memory.trim();
  expect(memory.freeBytes).toBe(2 * MIB);
  memory.trim();
  expect(memory.freeBytes).toBe(0);
});

test('what ends with a loan is told once', () => {
  const loan = new AnswerMemory().lend();
  let told = 0;
  loan.with(() => (told += 1));
  loan.giveBack();
  loan.giveBack();
  expect(told).toBe(1);
});
