// A hundred clients that send more than the node can hold, all at once: everything is acknowledged, in bounded memory.

import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { createAppliance } from '../parts/appliance.ts';
import { openRandom } from '../fuzz/random.ts';
import { produceOf } from './open-door.ts';
import { RawClient } from './raw-client.ts';

const CLIENTS = 100;
const REQUESTS = 3;
const BATCH_BYTES = 700_000;
/** The whole process at its peak, as the unit starts it, and compiling its own source. Usually some 195 to 220. */
const RSS_MIB_MAX = 240;

test(`${CLIENTS} clients with ${REQUESTS} large requests each are all answered, and the node stays small`, async () => {
  const env = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '524288' };
  const appliance = await createAppliance({ commit: { profile: 'ssd' }, topics: { flood: { partitions: 4 } } }, env);
  onTestFinished(() => appliance.remove());
  await appliance.start();
  const port = Number(appliance.kafka.split(':').at(-1));
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect(port)));
  onTestFinished(() => clients.forEach((client) => client.end()));
  const value = openRandom(1).bytes(BATCH_BYTES);
  const send = (client: RawClient, index: number) => {
    const records = encodeBatch([{ timestampMs: 1, key: null, value }]);
    return client.send(produce, 9, produceOf('flood', records, index % 4));
  };
  const answers = clients.flatMap((client, index) => Array.from({ length: REQUESTS }, () => send(client, index)));
  let throttled = 0;
  for (const answer of answers) {
    const { responses, throttleTimeMs } = await answer();
    expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
    if (throttleTimeMs > 0) throttled += 1;
  }
  const { pid, log } = await appliance.status();
  const peakMib = Math.round(
    Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024,
  );
  console.log(`${answers.length} answers, ${throttled} of them throttled; RSS at its peak ${peakMib} MiB`);
  expect(log.appended.records).toBe(CLIENTS * REQUESTS);
  expect(throttled).toBeGreaterThan(0);
  expect(peakMib).toBeLessThan(RSS_MIB_MAX);
});
