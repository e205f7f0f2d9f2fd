// The process that the crash tests kill. It appends numbered records to three partitions as fast as the card lets it, as
// an idempotent producer in one of them, and writes a line `partition number` for each acknowledged batch's last record
// to standard output, which is a file of the parent's: what was written there before the kill was acknowledged.
//
//   node appender.ts FOLDER WRITE_BUFFER_BYTES

import { writeSync } from 'node:fs';
import { systemClock } from '../../src/clock.ts';
import { openLog } from '../../src/log/log.ts';
import { openStore } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';
import { batchOf } from '../log/open-log.ts';

const [folder = '', writeBufferBytes = '65536'] = process.argv.slice(2);
const trace = createTrace({ write: (line) => void process.stderr.write(`${line}\n`) });
const store = await openStore({ folder, clock: systemClock, trace, writeBufferBytes: Number(writeBufferBytes) });
const log = await openLog({
  store,
  clock: systemClock,
  trace,
  commitIntervalMs: 0,
  commitBurstMs: 0,
  topics: new Map([['t', { partitions: 3 }]]),
  budgetBytes: 1e12,
});
writeSync(1, 'open\n');

const RECORDS = 5;

async function appendForever(index: number): Promise<never> {
  const partition = log.topic('t')!.partitions[index]!;
  for (let next = partition.highWatermark; ; next += RECORDS) {
    const producer = index === 2 ? { producerId: 7, producerEpoch: 0, baseSequence: next } : {};
    try {
      await partition.append(batchOf(next, RECORDS, { bytes: 1 + ((next * 37) % 700), ...producer }));
    } catch (error) {
      // The card refuses writes: nothing of this batch was kept, so it is sent again.
      writeSync(2, `refused ${(error as Error).message}\n`);
      next -= RECORDS;
      await systemClock.sleep(20);
      continue;
    }
    writeSync(1, `${index} ${next + RECORDS - 1}\n`);
  }
}

// Timers of the clock do not keep a process alive.
setInterval(() => undefined, 1000);
await Promise.all([0, 1, 2].map(appendForever));
