// The process that the crash tests kill. It appends numbered records to three partitions as fast as the card lets it, as
// an idempotent producer in one of them and with a mark beside the records in another, and writes a line `partition number` for each acknowledged batch's last record
// to standard output, which is a file of the parent's: what was written there before the kill was acknowledged.
//
//   node appender.ts FOLDER WRITE_BUFFER_BYTES

import { writeSync } from 'node:fs';
import { systemClock } from '../../src/clock.ts';
import { openLog, type Partition } from '../../src/log/log.ts';
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

/** A record and its mark in one turn, as MQTT's QoS 2 does it. */
function appendMarked(partition: Partition, batch: Buffer, last: number): Promise<void> {
  const commit = partition.gather({ take: () => batch });
  log.mark('qos2/last', Buffer.from(String(last)));
  return commit.done();
}

async function appendForever(index: number): Promise<never> {
  const partition = log.topic('t')!.partitions[index]!;
  for (let next = partition.highWatermark; ; next += RECORDS) {
    const producer = index === 2 ? { producerId: 7, producerEpoch: 0, baseSequence: next } : {};
    try {
      const batch = batchOf(next, RECORDS, { bytes: 1 + ((next * 37) % 700), ...producer });
      if (index === 1) await appendMarked(partition, batch, next + RECORDS - 1);
      else await partition.append(batch);
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
