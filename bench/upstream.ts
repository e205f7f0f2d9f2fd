// What the mirror has brought to a real Kafka, and how far it is.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka } from '../test/parts/kafka.ts';
import type { Headwater } from './servers.ts';

const STALL_MS = 60_000;

/** Resolves when the mirror has nothing left to send. Throws with its state when nothing moves for a minute. */
export async function drained(headwater: Headwater, onProgress: (left: number) => void): Promise<void> {
  let [left, sinceMs] = [Infinity, performance.now()];
  for (;;) {
    const { mirrors } = await headwater.status();
    const mirror = mirrors[0]!;
    if (mirror.backlog.records === 0 && mirror.records > 0) return;
    if (mirror.backlog.records < left) [left, sinceMs] = [mirror.backlog.records, performance.now()];
    if (performance.now() - sinceMs > STALL_MS) throw new Error(`the mirror stands still: ${JSON.stringify(mirror)}`);
    onProgress(left);
    await sleep(200);
  }
}

/** How many records the topic holds, by the end offsets that Kafka's own tool prints. */
export async function recordsIn(kafka: Kafka, topic: string): Promise<number> {
  const lines = (await kafka.tool('GetOffsetShell', ['--topic', topic])).trim().split('\n');
  return lines.reduce((sum, line) => sum + Number(line.split(':')[2]), 0);
}
