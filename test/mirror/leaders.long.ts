// Leaders that die: what they had acknowledged is on the others, what they had not is sent again.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { startKafkaCluster, type KafkaCluster } from '../parts/kafka-cluster.ts';
import { expectOnce, openEdge } from './real-upstream.ts';

const PARTITIONS = [0, 1, 2, 3, 4, 5];

let cluster: KafkaCluster;
beforeAll(async () => {
  cluster = await startKafkaCluster();
}, 180_000);
afterAll(() => cluster.stop());

test('each leader is killed in turn under load', async () => {
  const edge = await openEdge({ bootstrap: cluster.bootstrap });
  await edge.folder.log.createTopic('led', { partitions: PARTITIONS.length });
  let isLoading = true;
  let appended = 0;
  const loading = (async () => {
    while (isLoading) {
      await Promise.all(PARTITIONS.map((partition) => edge.append('led', 50, { partition, each: 10 })));
      appended += 50;
      await sleep(20);
    }
  })();
  try {
    for (const node of cluster.nodes) {
      await sleep(3_000);
      await node.kill();
      // Without it the others elect new leaders after six seconds.
      await sleep(9_000);
      await node.restart();
    }
    isLoading = false;
    await loading;
    await edge.drained(120_000);

    for (const partition of PARTITIONS) await expectOnce(cluster.bootstrap[0]!, 'pump-7.led', appended, partition);
    expect(edge.status().reconciliations).toBeGreaterThan(0);
    expect(edge.status().lost).toEqual({ gapRecords: 0, upstreamRecords: 0 });
  } finally {
    isLoading = false;
    await edge.close();
  }
});

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
