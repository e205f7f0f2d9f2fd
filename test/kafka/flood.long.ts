// A hundred clients that send more than the node can hold, all at once: everything is acknowledged, in bounded memory. The
// program is the one that ships, built and started as by systemd's unit.

import { expect, onTestFinished, test } from 'vitest';
import { memoryOf } from '../../bench/measure.ts';
import { buildHeadwater, startHeadwater } from '../../bench/servers.ts';
import { openStand } from '../../bench/stand.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { openRandom } from '../fuzz/random.ts';
import { fetchAll, produceOf } from './open-door.ts';
import { RawClient } from './raw-client.ts';

const CLIENTS = 100;
const REQUESTS = 3;
const PARTITIONS = 4;
const BATCH_BYTES = 700_000;
/** The whole process at its peak. Usually 155 to 185. */
const RSS_MIB_MAX = 200;

test(`${CLIENTS} clients with ${REQUESTS} large requests each are all answered, and the node stays small`, async () => {
  const stand = await openStand({ isQuick: true });
  onTestFinished(() => stand.close());
  buildHeadwater();
  const dir = stand.makeFolder('data');
  const node = await startHeadwater(stand, { dir, kafka: true, partitions: PARTITIONS });
  const connect = () => RawClient.connect(node.kafkaPort!);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, connect));
  onTestFinished(() => clients.forEach((client) => client.end()));
  const value = openRandom(1).bytes(BATCH_BYTES);
  const send = (client: RawClient, index: number) => {
    const records = encodeBatch([{ timestampMs: 1, key: null, value }]);
    return client.send(produce, 9, produceOf('readings', records, index % PARTITIONS));
  };
  const answers = clients.flatMap((client, index) => Array.from({ length: REQUESTS }, () => send(client, index)));
  let throttled = 0;
  for (const answer of answers) {
    const { responses, throttleTimeMs } = await answer();
    expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
    if (throttleTimeMs > 0) throttled += 1;
  }
  const { peakMib } = memoryOf(node.pid);
  console.log(`${answers.length} answers, ${throttled} of them throttled; RSS at its peak ${Math.round(peakMib)} MiB`);
  const offsets = Array.from({ length: PARTITIONS }, () => 0);
  const ends = await fetchAll(clients[0]!, 'readings', offsets, { partitionMaxBytes: 1 });
  expect(ends.reduce((sum, { highWatermark }) => sum + highWatermark, 0)).toBe(CLIENTS * REQUESTS);
  expect(throttled).toBeGreaterThan(0);
  expect(peakMib).toBeLessThan(RSS_MIB_MAX);
  await node.stop();
});
