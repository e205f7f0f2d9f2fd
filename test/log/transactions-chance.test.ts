// Transactions of a random history, with restarts and rolls in between, against a plain account of what was told.

import { expect, test } from 'vitest';
import { decodeRecords, encodeBatch, readBatchHeader } from '../../src/formats/batch.ts';
import type { Partition } from '../../src/log/log.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { openLogFolder } from './open-log.ts';

async function stableBatches(partition: Partition): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for (let next = 0; next < partition.lastStableOffset;) {
    found.push(...(await partition.readStable(next, 1e9)));
    const { baseOffset, lastOffsetDelta } = readBatchHeader(found.at(-1)!);
    next = baseOffset + lastOffsetDelta + 1;
  }
  return found;
}

const STEPS = 80;
const PRODUCERS = [1, 2, 3, 4];

test('stable records, what was aborted and what counts are as the history says', { timeout: 60_000 }, async () => {
  const random = openRandom(printedSeed('transactions'));
  const opened = await openLogFolder({}, 32 * 1024);
  await opened.log.createTopic('t');
  const partition = () => opened.log.topic('t')!.partitions[0]!;
  /** Of each value its offset and what became of it. */
  const history: { offset: number; fate: 'open' | 'committed' | 'aborted'; producerId: number }[] = [];
  const sequences = new Map<number, number>();

  async function append(producerId: number): Promise<void> {
    const value = Buffer.from(String(history.length))
      .toString()
      .padEnd(random.below(3) === 0 ? 8000 : 1);
    const record = { timestampMs: 1, key: null, value: Buffer.from(value) };
    const baseSequence = sequences.get(producerId) ?? 0;
    sequences.set(producerId, baseSequence + 1);
    const isTransactional = producerId > 0;
    const stamp = isTransactional ? { producerId, producerEpoch: 0, baseSequence, isTransactional } : {};
    const { baseOffset } = await partition().append(encodeBatch([record], stamp), isTransactional);
    history.push({ offset: baseOffset, fate: isTransactional ? 'open' : 'committed', producerId });
  }

  async function end(producerId: number): Promise<void> {
    const isCommit = random.below(2) === 0;
    await partition().endTransaction({ producerId, producerEpoch: 0, isCommit }).done();
    for (const each of history) {
      if (each.producerId === producerId && each.fate === 'open') each.fate = isCommit ? 'committed' : 'aborted';
    }
  }

  async function check(): Promise<void> {
    const it = partition();
    const stable = Math.min(
      it.highWatermark,
      ...history.flatMap(({ fate, offset }) => (fate === 'open' ? [offset] : [])),
    );
    expect(it.lastStableOffset).toBe(stable);
    const batches = await stableBatches(it);
    const found = batches.filter((batch) => it.isData(readBatchHeader(batch))).flatMap((batch) => decodeRecords(batch));
    const wanted = history.flatMap(({ fate, offset }) => (fate === 'committed' && offset < stable ? [offset] : []));
    expect(found.map(({ offset }) => offset)).toEqual(wanted);
    // What a client is told of any range is enough to leave out what was aborted there.
    const from = random.below(stable + 1);
    const told = it.abortedBetween(from, stable);
    for (const { fate, offset, producerId } of history) {
      if (offset < from || offset >= stable || producerId <= 0) continue;
      const isTold = told.some(
        (each) => each.producerId === producerId && each.firstOffset <= offset && offset <= each.lastOffset,
      );
      expect(isTold).toBe(fate === 'aborted');
    }
  }

  try {
    for (let turn = 0; turn < STEPS; turn += 1) {
      const chance = random.below(100);
      if (chance < 65) await append(chance < 15 ? 0 : random.pick(PRODUCERS));
      else if (chance < 96) await end(random.pick(PRODUCERS));
      else await opened.reopen();
      if (turn % 10 === 0) await check();
    }
    await check();
  } finally {
    await opened.remove();
  }
});
