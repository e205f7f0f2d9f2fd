// The process that the crash tests kill, with a topic of each durability. A record of each is appended again and again, and
// a line `topic number` goes to standard output, a file of the parent's, when it is acknowledged. There is a credit now and
// then only: what `immediate` is told was not paid for, and `relaxed` waits for the others' commits or its own time.
//
//   node durability-appender.ts FOLDER WRITE_BUFFER_BYTES

import { writeSync } from 'node:fs';
import { systemClock } from '../../src/clock.ts';
import { DURABILITIES, openLog, type Durability } from '../../src/log/log.ts';
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
  commitIntervalMs: 40,
  commitBurstMs: 0,
  commitRelaxedMs: 100,
  topics: new Map(DURABILITIES.map((durability) => [durability, { durability }])),
  budgetBytes: 1e12,
});

const PAUSE_MS = { synced: 0, immediate: 25, relaxed: 1 };

async function appendForever(topic: Durability): Promise<never> {
  const partition = log.topic(topic)!.partitions[0]!;
  for (let next = partition.highWatermark; ; next += 1) {
    await partition.append(batchOf(next, 1, { bytes: 200 }));
    writeSync(1, `${topic} ${next}\n`);
    await systemClock.sleep(PAUSE_MS[topic]);
  }
}

// Timers of the clock do not keep a process alive.
setInterval(() => undefined, 1000);
await Promise.all(DURABILITIES.map(appendForever));
