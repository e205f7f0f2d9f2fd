// Ids of idempotent producers: each is given once, ever. Blocks of them are reserved on the card before any is given.

import type { Tables } from '../store/store.ts';

const RESERVED = 1000;
const FIRST = 1000;

/** Gives an id that was never given before, durable before it is returned. */
export function createProducerIds(tables: Tables): () => Promise<number> {
  let block = { next: 0, end: 0 };
  let reserving: Promise<unknown> = Promise.resolve();

  async function take(): Promise<number> {
    if (block.next === block.end) {
      const start = Number((await tables.get('meta/producer-ids'))?.toString() ?? FIRST);
      await tables.write([['meta/producer-ids', Buffer.from(String(start + RESERVED))]]);
      block = { next: start, end: start + RESERVED };
    }
    const id = block.next;
    block.next += 1;
    return id;
  }

  return () => {
    // One at a time, so that two callers can't reserve the same block.
    const given = reserving.then(take);
    reserving = given.catch(() => undefined);
    return given;
  };
}
