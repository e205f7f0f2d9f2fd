// A process to be killed: appends numbers to the log of a folder and mirrors them, until it is killed or, told to drain,
// until all is upstream. Arguments: folder, bootstrap, `load` or `drain`.

import { systemClock } from '../../src/clock.ts';
import { openLog } from '../../src/log/log.ts';
import { openMirrors } from '../../src/mirror/mirror.ts';
import { openStore } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';
import { batchOf } from '../log/open-log.ts';

const [folder, bootstrap, task] = process.argv.slice(2) as [string, string, 'load' | 'drain'];
const PARTITIONS = 3;

const trace = createTrace({ isJournal: false, write: (line) => console.error(line) });
const store = await openStore({ folder, clock: systemClock, trace });
const log = await openLog({
  store,
  clock: systemClock,
  trace,
  commitIntervalMs: 0,
  commitBurstMs: 0,
  topics: new Map([['numbers', { partitions: PARTITIONS }]]),
  budgetBytes: 1e12,
});
const topic = log.ensureTopic('numbers');
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
      for (;;) await partition.append(batchOf(partition.highWatermark, 20, { timestampMs: Date.now() }));
    }),
  );
} else {
  while (mirrors.status()[0]!.backlog.records > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  console.log(JSON.stringify(topic.partitions.map(({ highWatermark }) => highWatermark)));
  await mirrors.close();
  await log.close();
  await store.close();
}
