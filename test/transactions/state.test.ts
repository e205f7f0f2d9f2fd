// One transactional id, without a log: who may speak, what ends, and with which epoch.

import { expect, test } from 'vitest';
import { KafkaError } from '../../src/formats/kafka/codes.ts';
import { sizeOf, step, type Input, type Step, type Transaction } from '../../src/transactions/state.ts';

const ME = { producerId: 7, producerEpoch: 0 };

function fresh(more: Partial<Transaction> = {}): Transaction {
  const none = { lastEpoch: -1, lastProducerId: -1, timeoutMs: 1000, partitions: new Map(), groups: new Set<string>() };
  return { ...ME, ...none, phase: 'Empty', ...more };
}

function open(more: Partial<Transaction> = {}): Transaction {
  const partitions = new Map([['t', new Set([0, 1])]]);
  return fresh({ phase: 'Ongoing', partitions, groups: new Set(['g']), ...more });
}

function init(transaction: Transaction | undefined, more: Partial<Input & { kind: 'init' }> = {}): Step {
  return step(transaction, { kind: 'init', timeoutMs: 2000, present: undefined, freshId: undefined, ...more });
}

function changed(result: Step): Transaction {
  expect(result.kind).toBe('changed');
  return (result as Step & { kind: 'changed' }).transaction;
}

const present = (producerEpoch: number, producerId = 7) => ({ present: { producerId, producerEpoch } });

test('an id that is not known asks for a producer id, and begins with epoch 0', () => {
  expect(init(undefined)).toEqual({ kind: 'needsProducerId' });
  const begun = changed(init(undefined, { freshId: 9 }));
  expect(begun).toMatchObject({ producerId: 9, producerEpoch: 0, lastEpoch: -1, phase: 'Empty', timeoutMs: 2000 });
  // One that says what it was: the node has forgotten it.
  expect(init(undefined, present(3))).toEqual({ kind: 'needsProducerId' });
});

test('who begins anew has the next epoch; what was open is aborted with it', () => {
  expect(changed(init(fresh()))).toMatchObject({ producerEpoch: 1, lastEpoch: -1 });
  const result = init(open());
  expect(changed(result)).toMatchObject({ producerEpoch: 1, phase: 'Empty', partitions: new Map(), groups: new Set() });
  expect(result).toMatchObject({ ending: { producerId: 7, producerEpoch: 1, isCommit: false } });
});

test('who goes on after an error names its epoch, and may ask twice', () => {
  const next = changed(init(fresh(), present(0)));
  expect(next).toMatchObject({ producerEpoch: 1, lastEpoch: 0 });
  expect(changed(init(next, present(0)))).toMatchObject({ producerEpoch: 1, lastEpoch: 0 });
  // Another one has begun meanwhile.
  const other = changed(init(next));
  expect(init(other, present(0))).toEqual({ kind: 'refused', errorCode: KafkaError.PRODUCER_FENCED });
  expect(init(other, present(1))).toEqual({ kind: 'refused', errorCode: KafkaError.PRODUCER_FENCED });
  expect(init(fresh(), present(0, 8))).toEqual({ kind: 'refused', errorCode: KafkaError.PRODUCER_FENCED });
});

test('when the epochs are used up it gets another producer id', () => {
  const last = fresh({ producerEpoch: 32_766 });
  expect(init(last)).toEqual({ kind: 'needsProducerId' });
  const next = changed(init(last, { freshId: 9, ...present(32_766) }));
  expect(next).toMatchObject({ producerId: 9, producerEpoch: 0, lastEpoch: 32_766, lastProducerId: 7 });
  // The answer got lost, and it asks again under its old id.
  expect(changed(init(next, present(32_766)))).toMatchObject({ producerId: 9, producerEpoch: 0 });
  const result = init(open({ producerEpoch: 32_766 }), { freshId: 9 });
  expect(result).toMatchObject({ ending: { producerId: 7, producerEpoch: 32_767 } });
  expect(changed(result)).toMatchObject({ producerId: 9, producerEpoch: 0 });
});

test('only the present producer adds and ends', () => {
  const add: Input = { kind: 'add', ...ME, partitions: [{ topicId: 't', partition: 0 }] };
  expect(step(undefined, add)).toEqual({ kind: 'refused', errorCode: KafkaError.INVALID_PRODUCER_ID_MAPPING });
  const other = step(fresh(), { ...add, producerId: 8 });
  expect(other).toEqual({ kind: 'refused', errorCode: KafkaError.INVALID_PRODUCER_ID_MAPPING });
  for (const producerEpoch of [1, -1]) {
    const fenced = step(fresh(), { ...add, producerEpoch });
    expect(fenced).toEqual({ kind: 'refused', errorCode: KafkaError.PRODUCER_FENCED });
  }
});

test('what is added is open, twice is the same, and the state before is untouched', () => {
  const before = fresh({ phase: 'CompleteCommit' });
  const partitions = [0, 1].map((partition) => ({ topicId: 't', partition }));
  const added = changed(step(before, { kind: 'add', ...ME, partitions }));
  expect(added).toMatchObject({ phase: 'Ongoing', partitions: new Map([['t', new Set([0, 1])]]) });
  expect(before.partitions.size).toBe(0);
  expect(step(added, { kind: 'add', ...ME, partitions: partitions.slice(1) })).toEqual({ kind: 'same' });
  const whole = changed(step(added, { kind: 'addGroup', ...ME, groupId: 'g' }));
  expect(step(whole, { kind: 'addGroup', ...ME, groupId: 'g' })).toEqual({ kind: 'same' });
  expect(sizeOf(whole)).toBe(3);
});

test('an end has markers of its own epoch, and may be asked for again', () => {
  for (const [isCommit, phase] of [
    [true, 'CompleteCommit'],
    [false, 'CompleteAbort'],
  ] as const) {
    const result = step(open(), { kind: 'end', ...ME, isCommit });
    expect(result).toMatchObject({ ending: { ...ME, isCommit, partitions: new Map([['t', new Set([0, 1])]]) } });
    const ended = changed(result);
    expect(ended).toMatchObject({ phase, partitions: new Map(), groups: new Set() });
    expect(step(ended, { kind: 'end', ...ME, isCommit })).toEqual({ kind: 'same' });
  }
  const nothing = { kind: 'refused', errorCode: KafkaError.INVALID_TXN_STATE };
  expect(step(fresh(), { kind: 'end', ...ME, isCommit: true })).toEqual(nothing);
  expect(step(fresh({ phase: 'CompleteAbort' }), { kind: 'end', ...ME, isCommit: true })).toEqual(nothing);
  // What was added may have been lost with the power, and is aborted by its producer.
  expect(step(fresh(), { kind: 'end', ...ME, isCommit: false })).toEqual({ kind: 'same' });
});

test('what takes too long is aborted and fenced', () => {
  const result = step(open(), { kind: 'timeout' });
  expect(result).toMatchObject({ ending: { producerEpoch: 1, isCommit: false } });
  const aborted = changed(result);
  expect(aborted).toMatchObject({ producerEpoch: 1, lastEpoch: -1, phase: 'CompleteAbort' });
  expect(step(aborted, { kind: 'end', ...ME, isCommit: true })).toMatchObject({
    errorCode: KafkaError.PRODUCER_FENCED,
  });
  expect(step(aborted, { kind: 'timeout' })).toEqual({ kind: 'same' });
});
