// A random story of faults from a seed: batches, lost and late requests, error codes, resets, a forgetful upstream, and
// processes that are killed with any of their lazy positions unwritten. At its end each record is upstream once.

import { expect } from 'vitest';
import type { Fate } from '../fakes/broker.ts';
import { openPair, upTo, type Pair } from './fake-upstream.ts';

const TOPICS = ['a', 'b', 'c'];
const FATES: Fate[] = ['lose', 'mute', 'stray', 7, 20, 6, 19, 2, 3, 10, 89];
const STRAY_MS = 20;

export async function tellStory(seed: number, turns: number): Promise<void> {
  const random = randomOf(seed);
  const pair = await openPair();
  const counts = new Map(TOPICS.map((topic) => [topic, 0]));
  try {
    for (const topic of TOPICS) await pair.append(topic, 0 + take(random, counts, topic));
    await pair.open();
    for (let turn = 0; turn < turns; turn += 1) await oneTurn(pair, random, counts);
    pair.broker.fate = () => 'do';
    await pair.drained();
    for (const topic of TOPICS) expect(pair.upstream(`n.${topic}`), `seed ${seed}`).toEqual(upTo(counts.get(topic)!));
  } finally {
    await pair.remove();
  }
}

async function oneTurn(pair: Pair, random: () => number, counts: Map<string, number>): Promise<void> {
  const share = random() < 0.5 ? 0 : random() * 0.6;
  pair.broker.fate = () => (random() < share ? FATES[Math.floor(random() * FATES.length)]! : 'do');
  for (const topic of TOPICS) {
    for (let batch = Math.floor(random() * 4); batch > 0; batch -= 1) await append(pair, random, counts, topic);
  }
  await sleep(random() * 30);
  const event = random();
  if (event < 0.15) pair.broker.resetAll();
  else if (event < 0.3) {
    pair.kill(() => random() < 0.5);
    for (const topic of TOPICS) if (random() < 0.5) await pair.append(topic, take(random, counts, topic));
    await pair.open();
  } else if (event < 0.45) {
    // What is late arrives before the upstream forgets: the one case that stays open is told in settle.ts.
    pair.broker.fate = (api) => (api === 'Produce' ? 'lose' : 'do');
    await sleep(STRAY_MS * 2);
    pair.broker.forget();
  } else if (event < 0.5) {
    await pair.close();
    await pair.open();
  }
}

/** Plainly, or in a transaction that is committed or aborted, with more records before its end. */
async function append(pair: Pair, random: () => number, counts: Map<string, number>, topic: string): Promise<void> {
  if (random() < 0.5) return pair.append(topic, take(random, counts, topic));
  if (random() < 0.4) {
    await pair.abort(topic, 1 + Math.floor(random() * 5));
    return undefined;
  }
  const end = await pair.begin(topic, take(random, counts, topic));
  if (random() < 0.5) await pair.append(topic, take(random, counts, topic));
  return end();
}

function take(random: () => number, counts: Map<string, number>, topic: string): number {
  const count = 1 + Math.floor(random() * 20);
  counts.set(topic, counts.get(topic)! + count);
  return count;
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}
