// The group commit over a store that the test holds in its hand: when it starts, what it waits for, whom it tells.

import { expect, test } from 'vitest';
import { createCommits, type CommitItem, type Commits, type CommitsNeeds } from '../../src/log/commits.ts';
import type { Change, Store } from '../../src/store/store.ts';
import { fakeClock } from '../fakes/clock.ts';

const clock = fakeClock();

interface Card {
  written: Change[][];
  failure: string | undefined;
}

function open(intervalMs = 0, more: Partial<CommitsNeeds> = {}): { card: Card; commits: Commits } {
  const card: Card = { written: [], failure: undefined };
  const store = {
    write: (_: unknown, marks: Change[]) => Promise.resolve(void card.written.push(marks)),
    failure: () => card.failure,
  } as unknown as Store;
  return { card, commits: createCommits({ store, clock, intervalMs, burstMs: 0, ...more }) };
}

function work(): { promise: Promise<void>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, end: resolve };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

test('a commit waits for a definition that came while it waited for another one', async () => {
  const { card, commits } = open();
  const [first, second] = [work(), work()];
  commits.holdFor(first.promise);
  const commit = commits.mark('of the first topic', null);
  await turns();
  commits.holdFor(second.promise);
  expect(commits.mark('of the second topic', null)).toBe(commit);
  first.end();
  await turns();
  expect(card.written).toEqual([]);
  second.end();
  await commit.done();
  expect(card.written.length).toBe(1);
});

test('who waits for room is told when the card has recovered, also when there is nothing to commit', async () => {
  const { card, commits } = open();
  card.failure = 'the tables fail';
  let isTold = false;
  void commits.whenRoom().then(() => (isTold = true));
  clock.advance(60_000);
  await turns();
  expect(isTold).toBe(false);
  card.failure = undefined;
  clock.advance(1000);
  await turns();
  expect(isTold).toBe(true);
  expect(clock.timers()).toBe(0);
});

test('a record that was taken has room for its mark', async () => {
  const { commits } = open();
  const item: CommitItem = { take: () => undefined, committed: () => undefined, failed: () => undefined };
  const commit = commits.join(item, 0);
  commit.grow(65 * 1024 * 1024);
  expect(() => commits.join(item, 0)).toThrow('wait for their commit');
  expect(commits.mark('qos2/a/1', Buffer.from('x'))).toBe(commit);
  await commit.done();
});

test('without credit 64 KiB wait for more while more comes, and for the credit at most', async () => {
  const { card, commits } = open(100);
  await commits.mark('takes the credit', null).done();
  clock.advance(50);
  const commit = commits.mark('the next', null);
  commit.grow(64 * 1024);
  await turns();
  for (let ms = 0; ms < 10; ms += 1) {
    commit.grow(1);
    clock.advance(1);
    await turns();
  }
  expect(card.written.length).toBe(1);
  clock.advance(2);
  clock.advance(2);
  await turns();
  expect(card.written.length).toBe(2);
  const last = commits.mark('the last', null);
  last.grow(64 * 1024);
  await turns();
  expect(card.written.length).toBe(2);
  last.grow(64 * 1024);
  await turns();
  expect(card.written.length).toBe(3);
  // What was left of a credit is not spent on a few bytes that come next.
  commits.mark('of a few bytes', null);
  await turns();
  clock.advance(99);
  await turns();
  expect(card.written.length).toBe(3);
  clock.advance(1);
  await turns();
  expect(card.written.length).toBe(4);
});

test('doors may read later while a commit waits for its credit, and have read before it starts', async () => {
  const { card, commits } = open(100);
  expect(commits.lull(20)).toBe(0);
  await commits.mark('takes the credit', null).done();
  commits.mark('waits', null);
  await turns();
  expect(commits.lull(20)).toBe(20);
  clock.advance(90);
  const lullMs = commits.lull(20);
  expect(lullMs).toBeGreaterThan(5);
  expect(lullMs).toBeLessThan(10);
  clock.advance(lullMs);
  await turns();
  expect(commits.lull(20)).toBe(0);
  expect(card.written.length).toBe(1);
  clock.advance(10 - lullMs);
  await turns();
  expect(card.written.length).toBe(2);
});

test('what waits when a commit ends waits some ms for more, a publisher that is alone does not', async () => {
  const { card, commits } = open();
  await commits.mark('alone', null).done();
  await commits.mark('alone, and acknowledged', null).done();
  expect(card.written.length).toBe(2);
  const during: CommitItem = {
    take: () => void commits.mark('came while the card was busy', null),
    committed: () => undefined,
    failed: () => undefined,
  };
  commits.join(during, 1);
  await commits.mark('of the same commit', null).done();
  await turns();
  commits.mark('came a little later', null);
  await turns();
  expect(card.written.length).toBe(3);
  clock.advance(3);
  await turns();
  expect(card.written.slice(3).map((marks) => marks.length)).toEqual([2]);
});

test('what is immediate is committed without credit, with all that waits', async () => {
  const { card, commits } = open(100);
  await commits.mark('takes the credit', null).done();
  commits.mark('waits for credit', null);
  await turns();
  expect(card.written.length).toBe(1);
  await commits.mark('at once', null, 'immediate').done();
  expect(card.written.slice(1).map((marks) => marks.length)).toEqual([2]);
});

test('what is relaxed starts no commit before its time is up, and goes with any that is made', async () => {
  const { card, commits } = open(0, { relaxedMs: 5000 });
  commits.mark('relaxed', null, 'relaxed');
  clock.advance(2000);
  await turns();
  commits.mark('relaxed, too', null, 'relaxed');
  clock.advance(2999);
  await turns();
  expect(card.written).toEqual([]);
  clock.advance(1);
  await turns();
  expect(card.written.map((marks) => marks.length)).toEqual([2]);
  commits.mark('relaxed', null, 'relaxed');
  await commits.mark('synced', null).done();
  expect(card.written.map((marks) => marks.length)).toEqual([2, 2]);
});

test('much that is relaxed is committed as soon as that is free', async () => {
  const { card, commits } = open(100, { relaxedMs: 600_000 });
  await commits.mark('takes the credit', null).done();
  commits.mark('relaxed', Buffer.alloc(128 * 1024), 'relaxed');
  await turns();
  expect(card.written.length).toBe(2);
});

test('doors leave nothing unread while a topic is immediate', async () => {
  let isHurried = false;
  const { commits } = open(100, { isHurried: () => isHurried });
  await commits.mark('takes the credit', null).done();
  commits.mark('waits for credit', null);
  expect(commits.lull(20)).toBeGreaterThan(0);
  isHurried = true;
  expect(commits.lull(20)).toBe(0);
});
