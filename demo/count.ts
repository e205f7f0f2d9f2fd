// Counts what is upstream: reads whole topics of a Kafka cluster and sorts the readings by sensor and number.

import { systemClock } from '../src/clock.ts';
import { decodeRecords, splitBatches } from '../src/formats/batch.ts';
import { openUpstream } from '../src/mirror/upstream.ts';
import type { Trace } from '../src/trace.ts';

export interface Counted {
  /** Different readings, by sensor. */
  readings: Map<string, Set<number>>;
  /** Highest number seen of each sensor. */
  highest: Map<string, number>;
  doubled: number;
  /** Readings that came after a later one of the same sensor. */
  reordered: number;
}

const FETCH_BYTES = 4 * 1024 * 1024;

/** Reads partition 0 of each topic from its start to its end. */
export async function countUpstream(bootstrap: string, topics: readonly string[], trace: Trace): Promise<Counted> {
  const upstream = openUpstream({ bootstrap: [bootstrap], clientId: 'demo', clock: systemClock, trace });
  const counted: Counted = { readings: new Map(), highest: new Map(), doubled: 0, reordered: 0 };
  try {
    const view = await upstream.metadata(topics);
    for (const topic of topics) {
      const leader = view.topics.get(topic)?.leaders.get(0);
      if (leader === undefined) continue;
      let offset = 0;
      for (;;) {
        const { errorCode, value } = await upstream.fetch(leader, topic, 0, offset, FETCH_BYTES);
        if (errorCode !== 0) throw new Error(`reading ${topic} failed with Kafka's error ${errorCode}`);
        for (const batch of splitBatches(value.records)) {
          for (const record of decodeRecords(batch)) {
            if (record.offset < offset) continue;
            offset = record.offset + 1;
            add(counted, record.value!.toString());
          }
        }
        if (offset >= value.highWatermark) break;
      }
    }
    return counted;
  } finally {
    upstream.close();
  }
}

function add(counted: Counted, text: string): void {
  const [sensor, n] = parse(text);
  let seen = counted.readings.get(sensor);
  if (seen === undefined) {
    seen = new Set();
    counted.readings.set(sensor, seen);
  }
  const highest = counted.highest.get(sensor) ?? -1;
  if (seen.has(n)) counted.doubled += 1;
  else if (n < highest) counted.reordered += 1;
  counted.highest.set(sensor, Math.max(n, highest));
  seen.add(n);
}

/** A reading is JSON (MQTT) or `name,number,celsius` (serial). */
function parse(text: string): [sensor: string, n: number] {
  if (text.startsWith('{')) {
    const { sensor, n } = JSON.parse(text) as { sensor: string; n: number };
    return [sensor, n];
  }
  const [sensor = '', n = ''] = text.split(',');
  return [sensor, Number(n)];
}
