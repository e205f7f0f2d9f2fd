import { expect, test } from 'vitest';
import {
  adopt,
  advance,
  distance,
  judge,
  onAck,
  onAnsweredUnknown,
  onGap,
  onLost,
  onNotAppended,
  onPassed,
  onProven,
  onSend,
  startAt,
  type Progress,
} from '../../src/mirror/progress.ts';

function streaming(): Progress {
  const progress = startAt(1_000);
  adopt(progress, 7, 0, 50);
  return progress;
}

/** What the process before left: 1000 is settled with sequence 500, 300 records may be upstream. */
function inherited(): Progress {
  const origin = { offset: 1_000, sequence: 500 };
  const doubt = { count: 300, isWhole: false, isStray: true };
  return { ...startAt(1_000), producerId: 7, producerEpoch: 0, isInherited: true, sequence: 500, origin, doubt };
}

const holds = (lastSequence: number) => ({ producerEpoch: 0, lastSequence });

test('an acknowledged batch moves offset and sequence by its records', () => {
  const progress = streaming();
  onSend(progress, 20);
  onAck(progress, 20, progress.offset + 20, 70);
  expect(progress).toMatchObject({ offset: 1_020, sequence: 20, upstreamOffset: 70, doubt: undefined, producerId: 7 });
});

test('a batch without an answer is sent again, whether it arrived or not', () => {
  const progress = streaming();
  onSend(progress, 20);
  onAck(progress, 20, progress.offset + 20, 70);
  onSend(progress, 10);
  expect(judge(progress, holds(19))).toEqual({ kind: 'resend' });
  expect(judge(progress, holds(29))).toEqual({ kind: 'resend' });
  expect(judge(progress, undefined)).toEqual({ kind: 'absent' });
});

test('an upstream that holds more than was sent is another node', () => {
  const progress = streaming();
  onSend(progress, 10);
  expect(judge(progress, holds(10))).toEqual({ kind: 'foreign' });
  expect(judge(progress, { producerEpoch: 1, lastSequence: 9 })).toEqual({ kind: 'foreign' });
});

test('a batch that went out in two cuts is not taken for a whole one', () => {
  const progress = streaming();
  onSend(progress, 10);
  progress.doubt!.isWhole = false;
  onSend(progress, 5);
  expect(judge(progress, holds(4))).toEqual({ kind: 'ahead', count: 5 });
  expect(judge(progress, holds(9))).toEqual({ kind: 'ahead', count: 10 });
});

test('a refusal leaves in doubt what was in doubt before', () => {
  const progress = streaming();
  onSend(progress, 10);
  onNotAppended(progress, undefined);
  expect(progress.doubt).toBeUndefined();

  onSend(progress, 10);
  const before = { ...progress.doubt! };
  onSend(progress, 10);
  onNotAppended(progress, before);
  expect(progress.doubt).toEqual({ count: 10, isWhole: true, isStray: true });
});

test('after an answer no copy is under way, unless an earlier attempt had none', () => {
  const progress = streaming();
  onSend(progress, 10);
  onAnsweredUnknown(progress, undefined);
  expect(progress.doubt?.isStray).toBe(false);
  const before = { ...progress.doubt!, isStray: true };
  onSend(progress, 10);
  onAnsweredUnknown(progress, before);
  expect(progress.doubt?.isStray).toBe(true);
});

test('the first process after a crash finds how far the last one came, and fences it before it takes a new id', () => {
  const progress = inherited();
  expect(judge(progress, holds(619))).toEqual({ kind: 'ahead', count: 120 });
  onProven(progress, 120, progress.offset + 120, 200);
  expect(progress).toMatchObject({ offset: 1_120, sequence: 620, producerId: 7, doubt: { count: 180, isStray: true } });
  onSend(progress, 50);
  onAck(progress, 50, progress.offset + 50, 250);
  expect(progress).toMatchObject({ offset: 1_170, producerId: -1, isInherited: false, doubt: undefined });
});

test('when all that was in doubt is upstream, the old id is let go at once', () => {
  const progress = inherited();
  onProven(progress, 300, progress.offset + 300, 400);
  expect(progress).toMatchObject({ offset: 1_300, producerId: -1, doubt: undefined });
});

test('more upstream than the card holds means that the card was copied', () => {
  expect(judge(inherited(), holds(800))).toEqual({ kind: 'foreign' });
  expect(judge(inherited(), holds(799))).toEqual({ kind: 'ahead', count: 300 });
});

test('what the upstream lost is sent again from where the card still has it', () => {
  const progress = streaming();
  onSend(progress, 100);
  onAck(progress, 100, progress.offset + 100, 150);
  onSend(progress, 10);
  expect(judge(progress, holds(69))).toEqual({ kind: 'behind', count: 30 });

  expect(onLost({ ...progress }, 30, 1_080, 120)).toBe(10);
  expect(onLost(progress, 30, 0, 120)).toBe(0);
  expect(progress).toMatchObject({ offset: 1_070, sequence: 70, upstreamOffset: 120, doubt: undefined });
});

test('behind a gap a fresh id begins, so that nothing before it is taken for what follows', () => {
  const progress = streaming();
  onSend(progress, 10);
  onGap(progress, 2_000);
  expect(progress).toMatchObject({ offset: 2_000, producerId: -1, doubt: undefined });
});

test('sequences wrap at 2^31', () => {
  expect(advance(2 ** 31 - 1, 1)).toBe(0);
  expect(advance(5, -10)).toBe(2 ** 31 - 5);
  expect(distance(2 ** 31 - 5, 10)).toBe(15);
  expect(distance(10, 2 ** 31 - 5)).toBe(-15);
  const progress = streaming();
  progress.sequence = 2 ** 31 - 4;
  onSend(progress, 10);
  expect(judge(progress, holds(5))).toEqual({ kind: 'resend' });
  onAck(progress, 10, progress.offset + 10, -1);
  expect(progress.sequence).toBe(6);
});

test('offsets without a record move the position and not the sequence, and nobody goes back behind them', () => {
  const progress = startAt(100);
  adopt(progress, 7, 0, 0);
  onPassed(progress, 110);
  expect(progress).toMatchObject({ offset: 110, sequence: 0, producerId: 7 });
  onSend(progress, 5);
  onAck(progress, 5, 130, 5);
  expect(progress).toMatchObject({ offset: 130, sequence: 5, doubt: undefined });
  onSend(progress, 10);
  onAck(progress, 10, 140, 15);
  expect(onLost(progress, 12, 0, 3)).toBe(2);
  expect(progress).toMatchObject({ offset: 130, sequence: 3 });
});
