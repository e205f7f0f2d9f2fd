// Hands out producer ids of this process. An upstream keeps its memory by (partition, producer id), so one id serves
// many partitions; but two sources of one upstream partition, or one source that has to begin anew, never share one.

import { KafkaError } from '../formats/kafka/codes.ts';
import { refusalOf } from './outcomes.ts';
import type { Upstream } from './upstream.ts';

export interface ProducerId {
  producerId: number;
  producerEpoch: number;
}

export interface ProducerIds {
  /** An id that this process never used for that upstream partition. Throws NOT_REACHABLE, UPSTREAM_REFUSED. */
  take(topic: string, partition: number): Promise<ProducerId>;
}

export function createProducerIds(upstream: Upstream): ProducerIds {
  const pool: ProducerId[] = [];
  const taken = new Map<string, number>();
  let asking: Promise<ProducerId> | undefined;

  async function ask(): Promise<ProducerId> {
    const { errorCode, value } = await upstream.initProducerId();
    if (errorCode !== KafkaError.NONE) throw refusalOf(errorCode, 'no producer id');
    pool.push(value);
    return value;
  }

  return {
    async take(topic, partition) {
      const key = `${partition}/${topic}`;
      for (;;) {
        // Looked up and taken without an await between: two sources that ask together must not get the same id.
        const turn = taken.get(key) ?? 0;
        const id = pool[turn];
        if (id !== undefined) {
          taken.set(key, turn + 1);
          return id;
        }
        asking ??= ask().finally(() => (asking = undefined));
        await asking;
      }
    },
  };
}
