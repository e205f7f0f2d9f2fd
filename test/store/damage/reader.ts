// A process with a log open, for damage that may end it: reads all there is, says `ready`, and reads it again after each
// line that it is sent. Usage: node reader.ts FOLDER

import { createInterface } from 'node:readline';
import { systemClock } from '../../../src/clock.ts';
import { readBatchHeader } from '../../../src/formats/batch.ts';
import { openLog } from '../../../src/log/log.ts';
import { openStore } from '../../../src/store/store.ts';
import { createTrace } from '../../../src/trace.ts';

const trace = createTrace({ write: () => undefined });
const store = await openStore({ folder: process.argv[2]!, clock: systemClock, trace, writeBufferBytes: 64 * 1024 });
const log = await openLog({
  store,
  clock: systemClock,
  trace,
  commitIntervalMs: 0,
  commitBurstMs: 0,
  topics: new Map(),
  budgetBytes: 1e12,
});

async function readAll(): Promise<void> {
  for (const partition of log.topic('t')!.partitions) {
    for (let next = partition.logStart; next < partition.highWatermark;) {
      const last = (await partition.read(next, 50_000)).at(-1);
      if (last === undefined) break;
      const { baseOffset, lastOffsetDelta } = readBatchHeader(last);
      next = baseOffset + lastOffsetDelta + 1;
    }
  }
}

await readAll();
console.log('ready');
for await (const _ of createInterface(process.stdin)) {
  await readAll();
  console.log(`gaps ${store.gaps().length}`);
}
