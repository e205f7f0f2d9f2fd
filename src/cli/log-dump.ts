// `headwater log dump`: the batches of the log as they are stored, one line each, and their records if asked for.

import { formatAmount } from '../config-units.ts';
import {
  compressionOf,
  decodeRecords,
  isControl,
  isTransactional,
  readBatchHeader,
  splitBatches,
  type ControlType,
} from '../formats/batch.ts';
import { withAccess, type AccessOptions } from './access.ts';
import { resolveOffset } from './consume.ts';
import type { Daemon } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { partsOf, walkPart, type Part, type Stretch } from './log-parts.ts';
import { parseOffsets } from './offsets.ts';
import { writeOut, type Terminal } from './terminal.ts';

export interface DumpOptions extends AccessOptions {
  output: 'text' | 'json';
  offset: string;
  partition?: number;
  count?: number;
  records: boolean;
}

interface DumpedBatch {
  topic: string;
  partition: number;
  baseOffset: number;
  lastOffset: number;
  records: number;
  bytes: number;
  compression: string;
  baseTimestampMs: number;
  maxTimestampMs: number;
  producerId?: number;
  producerEpoch?: number;
  baseSequence?: number;
  /** A batch of a transaction. */
  transactional?: true;
  /** The marker of a transaction's end. */
  control?: ControlType;
  each?: DumpedRecord[];
}

interface DumpedRecord {
  offset: number;
  timestampMs: number;
  keyBytes: number | null;
  valueBytes: number | null;
  headers: string[];
}

export async function dumpLog(topic: string, options: DumpOptions, terminal: Terminal): Promise<number> {
  return withAccess(options, terminal, { isWritten: false }, async (daemon) => {
    const range = parseOffsets(options.offset, terminal.clock.wallMs());
    let left = options.count ?? Infinity;
    try {
      for (const part of await partsOf(daemon, [topic], options.partition)) {
        const from = await resolveOffset(daemon, topic, part, range.from);
        const to = await resolveOffset(daemon, topic, part, range.to ?? 'end');
        left -= await dumpPart(daemon, part, { from, to, left }, options, terminal);
        if (left <= 0) break;
      }
    } catch (error) {
      if (terminal.signal.aborted) return EXIT.interrupted;
      throw error;
    }
    return EXIT.done;
  });
}

async function dumpPart(
  daemon: Daemon,
  part: Part,
  { from, to, left }: { from: number; to: number; left: number },
  options: DumpOptions,
  { out }: Terminal,
): Promise<number> {
  let dumped = 0;
  for await (const stretch of walkPart(daemon, part, from, to)) {
    let text = '';
    if (!stretch.isSound) text = damageLine(part, stretch, options);
    else {
      for (const batch of splitBatches(stretch.batches)) {
        const one = describe(part, batch, options.records);
        if (one.baseOffset >= to || dumped === left) break;
        text += options.output === 'json' ? `${JSON.stringify(one)}\n` : lineOf(one);
        dumped += 1;
      }
    }
    await writeOut(out, text);
    if (dumped === left) break;
  }
  return dumped;
}

function damageLine({ topic, partition }: Part, damage: Stretch & { isSound: false }, { output }: DumpOptions): string {
  const { from, to, what } = damage;
  if (output === 'json')
    return `${JSON.stringify({ topic, partition, baseOffset: from, lastOffset: to - 1, damage: what })}\n`;
  return `${topic}/${partition}  ${from}..${to - 1}  DAMAGED: ${what}\n`;
}

function describe({ topic, partition }: Part, batch: Buffer, withRecords: boolean): DumpedBatch {
  const header = readBatchHeader(batch);
  const { baseOffset, recordCount, baseTimestampMs, maxTimestampMs, producerId, producerEpoch, baseSequence } = header;
  return {
    topic,
    partition,
    baseOffset,
    lastOffset: baseOffset + header.lastOffsetDelta,
    records: recordCount,
    bytes: batch.length,
    compression: compressionOf(header),
    baseTimestampMs,
    maxTimestampMs,
    ...(producerId >= 0 && { producerId, producerEpoch, baseSequence }),
    ...(isTransactional(header) && !isControl(header) && { transactional: true }),
    ...(isControl(header) && { control: decodeRecords(batch)[0]?.control ?? 'other' }),
    ...(withRecords && !isControl(header) && { each: recordsOf(batch) }),
  };
}

function recordsOf(batch: Buffer): DumpedRecord[] {
  return decodeRecords(batch).map(({ offset, timestampMs, key, value, headers }) => ({
    offset,
    timestampMs,
    keyBytes: key?.length ?? null,
    valueBytes: value?.length ?? null,
    headers: headers.map(({ key: name }) => name),
  }));
}

/** `readings/0  0..99  100 records, 1.2 kB, zstd, 2026-01-31T06:00:00.000Z..2026-01-31T06:00:09.000Z` */
function lineOf(one: DumpedBatch): string {
  const times = [...new Set([one.baseTimestampMs, one.maxTimestampMs].map(timeOf))].join('..');
  const producer =
    one.producerId === undefined ? [] : [`producer ${one.producerId}/${one.producerEpoch} from ${one.baseSequence}`];
  const facts = [`${one.records} records`, formatAmount(one.bytes), one.compression, times, ...producer];
  if (one.transactional === true) facts.push('transactional');
  if (one.control !== undefined) facts.push(`marker: ${one.control}`);
  const records = (one.each ?? []).map(({ offset, timestampMs, keyBytes, valueBytes, headers }) => {
    const named = headers.length === 0 ? '' : `, headers ${headers.join(' ')}`;
    return `  ${offset}  ${timeOf(timestampMs)}  key ${sizeOf(keyBytes)}, value ${sizeOf(valueBytes)}${named}\n`;
  });
  return `${one.topic}/${one.partition}  ${one.baseOffset}..${one.lastOffset}  ${facts.join(', ')}\n${records.join('')}`;
}

function sizeOf(bytes: number | null): string {
  return bytes === null ? 'null' : `${bytes} B`;
}

/** A batch may bear any number for a time. */
function timeOf(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);
}
