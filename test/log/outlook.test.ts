// When the room is full, and when mirrors have sent all, at the pace of the last ten minutes.

import { expect, test } from 'vitest';
import { DEFAULT_SETTINGS, type TopicSettings } from '../../src/log/log.ts';
import { openOutlook, type Outlook } from '../../src/log/outlook.ts';
import type { LogPartition } from '../../src/log/partition.ts';
import { fakeClock } from '../fakes/clock.ts';

/** A partition with 1000 bytes a record, mirrored up to `sent` where that is given; the room takes a million. */
function given(settings: Partial<TopicSettings>, sent?: number) {
  const clock = fakeClock();
  const topic = { name: 't', settings: { ...DEFAULT_SETTINGS, ...settings } };
  const state = { logStart: 0, highWatermark: 0, sent };
  const partition = {
    topic,
    get logStart() {
      return state.logStart;
    },
    get highWatermark() {
      return state.highWatermark;
    },
    get bytes() {
      return 1000 * (state.highWatermark - state.logStart);
    },
  } as unknown as LogPartition;
  const outlook = openOutlook({
    clock,
    partitions: new Map([[0, partition]]),
    lowestPinned: () => state.sent,
    room: { leftBytes: () => 1_000_000 - partition.bytes, recordBytesMax: () => 1_000_000 },
    usedBytes: () => partition.bytes,
  });
  /** Ten seconds, in which so many records come and so many are sent. */
  function pass(records: number, sentToo = 0): Outlook {
    state.highWatermark += records;
    if (state.sent !== undefined) state.sent += sentToo;
    clock.advance(10_000);
    return outlook.status();
  }
  return { pass };
}

test('what nobody mirrors fills the room; of the first seconds no pace is told', () => {
  const { pass } = given({});
  expect(pass(10)).toEqual({ keptBytes: 10_000, owedBytes: 0 });
  pass(10);
  expect(pass(10)).toEqual({ keptBytes: 30_000, owedBytes: 0, fullSeconds: 970 });
});

test('what is sent may go: a mirror that keeps up fills nothing', () => {
  const { pass } = given({}, 0);
  pass(10, 10);
  pass(10, 10);
  expect(pass(10, 10)).toEqual({ keptBytes: 0, owedBytes: 0 });
});

test('a mirror that catches up has sent all after a while', () => {
  const { pass } = given({}, 0);
  for (let round = 0; round < 61; round += 1) pass(10);
  // Ten minutes later the pace is that of these ten minutes.
  let outlook: Outlook | undefined;
  for (let round = 0; round < 61; round += 1) outlook = pass(5, 10);
  expect(outlook).toEqual({ keptBytes: 305_000, owedBytes: 305_000, drainSeconds: 610 });
});

test('what a topic lets go fills nothing, and what it owes is told all the same', () => {
  const { pass } = given({ whenFull: 'drop-oldest' }, 0);
  pass(10);
  pass(10);
  expect(pass(10)).toEqual({ keptBytes: 0, owedBytes: 30_000 });
});
