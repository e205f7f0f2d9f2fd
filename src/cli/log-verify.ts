// `headwater log verify`: reads everything that can be read and checks it: the CRC of each batch, that its records can be
// decoded, and that no offset is missing between batches. What is damaged is told with its offsets, and the reading goes
// on behind it. Exit code 10 when anything was found.

import { formatAge, formatAmount } from '../config-units.ts';
import { withAccess, type AccessOptions } from './access.ts';
import type { Daemon } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { partsOf, totalOf, walkPart, type Part } from './log-parts.ts';
import { openProgress, type Progress } from './progress.ts';
import { table, type Terminal } from './terminal.ts';

export interface VerifyOptions extends AccessOptions {
  output: 'text' | 'json';
}

/** Offsets from `from` up to, not including, `to`. */
export interface Damage {
  topic: string;
  partition: number;
  from: number;
  to: number;
  what: string;
}

export interface Verified {
  partitions: number;
  batches: number;
  records: number;
  bytes: number;
  damage: Damage[];
}

export async function verifyLog(topics: string[], options: VerifyOptions, terminal: Terminal): Promise<number> {
  const startMs = terminal.clock.monotonicMs();
  return withAccess(options, terminal, { isWritten: false }, async (daemon) => {
    const parts = await partsOf(daemon, topics);
    const progress = openProgress(terminal, 'verified', totalOf(parts));
    const found: Verified = { partitions: parts.length, batches: 0, records: 0, bytes: 0, damage: [] };
    try {
      for (const part of parts) await verifyPart(daemon, part, found, progress);
    } catch (error) {
      if (terminal.signal.aborted) return EXIT.interrupted;
      throw error;
    } finally {
      progress.end();
    }
    const isSound = found.damage.length === 0;
    const ms = terminal.clock.monotonicMs() - startMs;
    if (options.output === 'json') terminal.out.write(`${JSON.stringify({ ok: isSound, ...found })}\n`);
    else terminal.out.write(render(found, ms));
    return isSound ? EXIT.done : EXIT.unhealthy;
  });
}

function render({ partitions, batches, records, bytes, damage }: Verified, ms: number): string {
  const all = `${partitions} partitions, ${batches} batches, ${records} records, ${formatAmount(bytes)} in ${formatAge(ms)}\n`;
  if (damage.length === 0) return `sound: ${all}`;
  const rows = damage.map(({ topic, partition, from, to, what }) => [topic, partition, from, to - 1, what]);
  return `${table([['TOPIC', 'PARTITION', 'FROM', 'TO', 'WHAT'], ...rows])}\nDAMAGED: ${all}`;
}

async function verifyPart(daemon: Daemon, part: Part, found: Verified, progress: Progress): Promise<void> {
  const { topic, partition, logStart, highWatermark } = part;
  for await (const stretch of walkPart(daemon, part, logStart, highWatermark)) {
    if (stretch.isSound) {
      found.batches += stretch.count;
      found.records += stretch.records;
      found.bytes += stretch.batches.length;
      progress.add(stretch.batches.length);
    } else {
      const { from, to, what } = stretch;
      found.damage.push({ topic, partition, from, to, what });
    }
  }
}
