// How long a group of many members takes to share its partitions anew, as its members see it: kafkajs, all in this process.

import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Consumer } from 'kafkajs';

const STALL_MS = 120_000;

/** Milliseconds until all have their new share, when one goes and when one comes. Throws when nothing moves for two minutes. */
export async function rebalanceMs(
  bootstrap: string,
  topic: string,
  members: number,
): Promise<{ goes: number; comes: number }> {
  const kafka = new kafkajs.Kafka({ brokers: [bootstrap], clientId: 'bench', logLevel: kafkajs.logLevel.NOTHING });
  // The generation that each member is in, and what it was given there.
  const shares = new Map<Consumer, { generation: number; partitions: number }>();
  const start = async (): Promise<Consumer> => {
    const consumer = kafka.consumer({ groupId: 'bench-members', heartbeatInterval: 250, maxWaitTimeInMs: 200 });
    consumer.on('consumer.group_join', ({ payload }) => {
      const partitions = Object.values(payload.memberAssignment).flat().length;
      const { generation = 0 } = shares.get(consumer) ?? {};
      shares.set(consumer, { generation: generation + 1, partitions });
    });
    await consumer.connect();
    await consumer.subscribe({ topic });
    await consumer.run({ eachMessage: async () => undefined });
    return consumer;
  };
  const consumers = await Promise.all(Array.from({ length: members }, start));
  const shared = async (wanted: number): Promise<void> => {
    for (const startMs = performance.now(); ; await sleep(5)) {
      const own = consumers.map((consumer) => shares.get(consumer)?.partitions ?? 0);
      if (own.length === wanted && own.every((count) => count > 0) && sum(own) === 2 * members) return;
      if (performance.now() - startMs > STALL_MS)
        throw new Error(`${own.length} members do not share: ${own.join(' ')}`);
    }
  };
  const timed = async (act: () => Promise<unknown>, wanted: number): Promise<number> => {
    const startMs = performance.now();
    await act();
    await shared(wanted);
    return performance.now() - startMs;
  };
  await shared(members);
  const goes = await timed(() => consumers.pop()!.disconnect(), members - 1);
  const comes = await timed(async () => consumers.push(await start()), members);
  await Promise.all(consumers.map((consumer) => consumer.disconnect()));
  return { goes, comes };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
