// `headwater consume`: records of a topic on standard output. Without --follow it ends where the topic ended when it
// began; with it, it goes on until it is told to stop.

import { HeadwaterError } from '../errors.ts';
import { withAccess, type AccessOptions } from './access.ts';
import { EXIT } from './exit-codes.ts';
import { topicPath, type Daemon } from './daemon.ts';
import { parseOffsets } from './offsets.ts';
import { progress, writeOut, type Terminal } from './terminal.ts';

export interface ConsumeOptions extends AccessOptions {
  offset: string;
  format: 'text' | 'jsonl';
  count?: number;
  partition?: number;
  follow: boolean;
}

const WAIT_MS = 20_000;
/** One connection for each partition that is followed, and the node has 64 of them for everybody. */
const FOLLOWED_MAX = 32;

interface Reader {
  partition: number;
  next: number;
  /** Not included; undefined: no end. */
  end: number | undefined;
}

interface Reading {
  daemon: Daemon;
  topic: string;
  terminal: Terminal;
  format: 'text' | 'jsonl';
  /** Aborted when the count is reached: then no partition is waited for any more. */
  enough: AbortController;
  /** Records that may still be written. */
  left: number;
  written: number;
}

export async function consume(topic: string, options: ConsumeOptions, terminal: Terminal): Promise<number> {
  const enough = new AbortController();
  const signal = AbortSignal.any([terminal.signal, enough.signal]);
  const { format, count = Infinity } = options;
  try {
    return await withAccess(options, { ...terminal, signal }, { isWritten: false }, async (daemon) => {
      const reading: Reading = { daemon, topic, terminal, format, enough, left: count, written: 0 };
      const readers = await place(reading, options);
      if (options.follow) await followAll(reading, readers);
      else for (const reader of readers) await readToEnd(reading, reader);
      progress(terminal, `${reading.written} records`);
      return EXIT.done;
    });
  } catch (error) {
    if (!terminal.signal.aborted) throw error;
    return EXIT.interrupted;
  }
}

/** Where to begin and end in each partition. */
async function place({ daemon, topic, terminal }: Reading, options: ConsumeOptions): Promise<Reader[]> {
  const range = parseOffsets(options.offset, terminal.clock.wallMs());
  if (options.follow && range.to !== undefined)
    throw new HeadwaterError('USAGE', '--follow has no end, and the range has one');
  const { each } = await daemon.getJson<{ each: Extent[] }>(topicPath(topic));
  const wanted =
    options.partition === undefined ? each : each.filter(({ partition }) => partition === options.partition);
  if (wanted.length === 0)
    throw new HeadwaterError('TOPIC_UNKNOWN', `${topic} has ${each.length} partitions, counted from 0`);
  if (options.follow && wanted.length > FOLLOWED_MAX) {
    throw new HeadwaterError(
      'USAGE',
      `at most ${FOLLOWED_MAX} partitions can be followed at a time: choose one with -p`,
    );
  }
  const readers: Reader[] = [];
  for (const extent of wanted) {
    const next = await resolveOffset(daemon, topic, extent, range.from);
    const end = options.follow ? undefined : await resolveOffset(daemon, topic, extent, range.to ?? 'end');
    readers.push({ partition: extent.partition, next, end });
  }
  return readers;
}

interface Extent {
  partition: number;
  logStart: number;
  highWatermark: number;
}

/** The offset that a place is in this partition: one that is not there becomes the nearest that is. */
export async function resolveOffset(daemon: Daemon, topic: string, extent: Extent, place: string): Promise<number> {
  const { partition, logStart, highWatermark } = extent;
  if (place === 'start') return logStart;
  if (place === 'end') return highWatermark;
  if (place.startsWith('@')) {
    const { headers } = await daemon.get(recordsPath(topic, partition, { offset: place, count: 1, bytes: 1 }));
    return Number(headers['headwater-offset']);
  }
  const offset = place.startsWith('-') ? highWatermark + Number(place) : Number(place);
  return Math.min(Math.max(offset, logStart), highWatermark);
}

function recordsPath(topic: string, partition: number, query: Record<string, string | number>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) parameters.set(name, String(value));
  return `${topicPath(topic)}/partitions/${partition}/records?${parameters.toString()}`;
}

async function readToEnd(reading: Reading, reader: Reader): Promise<void> {
  while (reading.left > 0 && reader.end !== undefined && reader.next < reader.end) {
    const before = reader.next;
    await readOn(reading, reader, Math.min(reader.end - reader.next, 1000), 0);
    // Retention can have moved the end of the range below what is left.
    if (reader.next === before) return;
  }
}

async function followAll(reading: Reading, readers: Reader[]): Promise<void> {
  await Promise.all(readers.map((reader) => follow(reading, reader)));
}

async function follow(reading: Reading, reader: Reader): Promise<void> {
  try {
    while (reading.left > 0) await readOn(reading, reader, 1000, WAIT_MS);
  } catch (error) {
    if (!reading.enough.signal.aborted) throw error;
  }
}

async function readOn(reading: Reading, reader: Reader, count: number, waitMs: number): Promise<void> {
  const { daemon, topic, terminal, format } = reading;
  const query = { offset: reader.next, count: Math.min(count, reading.left), wait: waitMs };
  const { headers, text } = await daemon.get(recordsPath(topic, reader.partition, query), 'application/x-ndjson');
  reader.next = Number(headers['headwater-next-offset']);
  // Another partition may have used up the count while this one waited.
  const lines = text.split('\n').slice(0, -1).slice(0, reading.left);
  reading.left -= lines.length;
  reading.written += lines.length;
  if (reading.left === 0) reading.enough.abort();
  if (lines.length > 0)
    await writeOut(terminal.out, lines.map((line) => `${format === 'jsonl' ? line : valueOf(line)}\n`).join(''));
}

/** The value as text; one that is no UTF-8 stays in base64. */
function valueOf(line: string): string {
  const { value, valueBase64 } = JSON.parse(line) as { value?: string | null; valueBase64?: string };
  return value ?? valueBase64 ?? '';
}
