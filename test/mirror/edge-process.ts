// A process to be killed: appends numbers to the log of a folder and mirrors them, until it is killed or, told to drain,
// until all is upstream. Arguments: folder, bootstrap, `load` or `drain`, and `compact` where the topic is to be compacted
// as fast as it goes.

import { systemClock } from '../../src/clock.ts';
import { openLog } from '../../src/log/log.ts';
import { openMirrors } from '../../src/mirror/mirror.ts';
import { openStore } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';
import { batchOf } from '../log/open-log.ts';

const [folder, bootstrap, task, cleanup] = process.argv.slice(2) as [string, string, 'load' | 'drain', 'compact'?];
const PARTITIONS = 3;
const TOPIC = cleanup === undefined ? 'numbers' : 'latest';

const trace = createTrace({ isJournal: false, write: (line) => console.error(line) });
const small = cleanup === undefined ? {} : { writeBufferBytes: 64 * 1024 };
const store = await openStore({ folder, clock: systemClock, trace, ...small });
const log = await openLog({
  store,
  clock: systemClock,
  trace,
  commitIntervalMs: 0,
  commitBurstMs: 0,
  topics: new Map([[TOPIC, { partitions: PARTITIONS, ...(cleanup !== undefined && { cleanup }) }]]),
  ...(cleanup !== undefined && { cleaningIntervalMs: 20 }),
  budgetBytes: 1e12,
});
const topic = log.ensureTopic(TOPIC);
const mirrors = await openMirrors({
  mirrors: [{ name: 'dc', bootstrap: [bootstrap] }],
  log,
  nodeName: 'pump-7',
  clock: systemClock,
  trace,
  quiesceMs: 3_000,
});
console.log('up');

if (task === 'load') {
  await Promise.all(
    topic.partitions.map(async (partition) => {
      for (;;) await partition.append(batchOf(partition.highWatermark, 20, { timestampMs: Date.now(), keys: 100 }));
    }),
  );
} else {
  const isDone = (): boolean => cleanup === undefined || log.status().cleaned.segments > 0;
  while (mirrors.status()[0]!.backlog.records > 0 || !isDone()) await new Promise((resolve) => setTimeout(resolve, 50));
  const counts = topic.partitions.map(({ highWatermark }) => highWatermark);
  console.log(JSON.stringify({ counts, cleaned: log.status().cleaned.segments }));
  await mirrors.close();
  await log.close();
  await store.close();
}
