// `headwater log verify`: reads everything that can be read and checks it: the CRC of each batch, that its records can be
// decoded, and that no offset is missing between batches. What is damaged is told with its offsets, and the reading goes
// on behind it. Exit code 10 when anything was found.

import { formatAge, formatAmount } from '../config-units.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import type { Losses } from '../headwater.ts';
import type { ExportFrame, ExportPartition } from '../formats/export.ts';
import { withAccess, type AccessOptions } from './access.ts';
import type { Daemon } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { framesOf, openFile } from './log-import.ts';
import { checkChunk, MISSING, partsOf, totalOf, walkPart, type Part } from './log-parts.ts';
import { openProgress, type Progress } from './progress.ts';
import { table, type Terminal } from './terminal.ts';

export interface VerifyOptions extends AccessOptions {
  output: 'text' | 'json';
  /** An export, instead of a log. */
  file?: string;
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
  if (options.file !== undefined) return verifyFile(options.file, options, terminal);
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
    await explain(daemon, found.damage);
    return report(found, terminal.clock.monotonicMs() - startMs, options, terminal);
  });
}

/** What is missing is known to the node by now, with the reason. */
async function explain(daemon: Daemon, damage: Damage[]): Promise<void> {
  if (damage.length === 0) return;
  const { gaps } = await daemon.getJson<Losses>('/gaps');
  for (const each of damage) {
    const known = gaps.find(({ topic, partition, firstOffset, lastOffset }) => {
      return topic === each.topic && partition === each.partition && firstOffset < each.to && lastOffset >= each.from;
    });
    if (known !== undefined && each.what === MISSING) each.what = `lost: ${known.reason}`;
  }
}

/** An export is read as an import would, and checked as the log is. */
async function verifyFile(file: string, options: VerifyOptions, terminal: Terminal): Promise<number> {
  const startMs = terminal.clock.monotonicMs();
  const handle = await openFile(file);
  const progress = openProgress(terminal, 'verified', (await handle.stat()).size);
  const found: Verified = { partitions: 0, batches: 0, records: 0, bytes: 0, damage: [] };
  const parts: ExportPartition[] = [];
  let what: string | undefined = 'the file is cut: copy it again';
  let at = 0;
  try {
    for await (const frame of framesOf(handle, progress.add)) {
      if (frame.kind === 'partition') {
        parts.push(frame.partition);
        at = frame.partition.from;
      } else if (frame.kind === 'batches') {
        checkFrame(frame, parts[frame.number], found);
        at = frame.to;
      } else if (frame.kind === 'end') what = undefined;
    }
  } catch (error) {
    if (!isHeadwaterError(error, 'FORMAT_CORRUPT')) throw error;
    what = messageOf(error);
  } finally {
    progress.end();
    await handle.close();
  }
  const last = parts.at(-1);
  // Other partitions may be missing, too: the file does not say before what it has.
  if (what !== undefined) found.damage.push({ ...placeIn(last), from: at, to: last?.to ?? at, what });
  found.partitions = parts.length;
  return report(found, terminal.clock.monotonicMs() - startMs, options, terminal);
}

function placeIn(part: ExportPartition | undefined): { topic: string; partition: number } {
  return { topic: part?.topic ?? '-', partition: part?.partition ?? 0 };
}

function checkFrame(
  { from, to, batches }: ExportFrame & { kind: 'batches' },
  part: ExportPartition | undefined,
  found: Verified,
): void {
  for (const stretch of checkChunk({ batches, next: to }, from)) {
    if (!stretch.isSound) {
      found.damage.push({ ...placeIn(part), from: stretch.from, to: stretch.to, what: stretch.what });
      continue;
    }
    found.batches += stretch.count;
    found.records += stretch.records;
    found.bytes += stretch.batches.length;
  }
}

function report(found: Verified, ms: number, { output }: VerifyOptions, { out }: Terminal): number {
  const isSound = found.damage.length === 0;
  out.write(output === 'json' ? `${JSON.stringify({ ok: isSound, ...found })}\n` : render(found, ms));
  return isSound ? EXIT.done : EXIT.unhealthy;
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
