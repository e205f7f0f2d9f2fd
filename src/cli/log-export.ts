// `headwater log export`: topics into a file that another log takes in (formats/export.ts), or one topic as JSON lines for
// `headwater produce`. The file gets its name when it is whole and on the card. What is damaged is left out, and said; what is not
// committed, or was aborted, is left out without a word.

import { createWriteStream } from 'node:fs';
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { formatAmount } from '../config-units.ts';
import { HeadwaterError } from '../errors.ts';
import { encodeExportFrame, type ExportEnd, type ExportFrame } from '../formats/export.ts';
import { withAccess, type AccessOptions } from './access.ts';
import { consume } from './consume.ts';
import type { Daemon } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { partsOf, totalOf, walkPart, type Part } from './log-parts.ts';
import type { Damage } from './log-verify.ts';
import { openProgress, type Progress } from './progress.ts';
import type { Terminal } from './terminal.ts';

export interface ExportOptions extends AccessOptions {
  output: 'text' | 'json';
  format: 'batches' | 'jsonl';
}

export async function exportLog(
  file: string,
  topics: string[],
  options: ExportOptions,
  terminal: Terminal,
): Promise<number> {
  if ((await stat(file).catch(() => undefined)) !== undefined) {
    throw new HeadwaterError('USAGE', `${file} is there already: choose another name, or remove it`);
  }
  if (options.format === 'jsonl') return exportLines(file, topics, options, terminal);
  return withAccess(options, terminal, { isWritten: false }, async (daemon) => {
    const parts = await partsOf(daemon, topics);
    const { node } = await daemon.getJson<{ node: string }>('/status');
    const progress = openProgress(terminal, 'exported', totalOf(parts));
    const end: ExportEnd = { batches: 0, records: 0, bytes: 0 };
    const damage: Damage[] = [];
    try {
      await writeWhole(file, async (write) => {
        await write({
          kind: 'head',
          head: { format: 'headwater-export', version: 1, node, atMs: terminal.clock.wallMs() },
        });
        for (const [number, part] of parts.entries())
          await exportPart({ daemon, part, number, write, end, damage, progress });
        await write({ kind: 'end', end });
      });
    } catch (error) {
      if (terminal.signal.aborted) return EXIT.interrupted;
      throw error;
    } finally {
      progress.end();
    }
    return report(file, parts.length, end, damage, options, terminal);
  });
}

interface Exporting {
  daemon: Daemon;
  part: Part;
  number: number;
  write: (frame: ExportFrame) => Promise<void>;
  end: ExportEnd;
  damage: Damage[];
  progress: Progress;
}

async function exportPart({ daemon, part, number, write, end, damage, progress }: Exporting): Promise<void> {
  const { topic, topicId, partition, partitions, retentionMs, retentionBytes, cleanup, durability, whenFull } = part;
  const { logStart, highWatermark } = part;
  const kept = { partitions, retentionMs, retentionBytes, cleanup, durability, whenFull };
  const settings = { topic, topicId, partition, ...kept };
  await write({ kind: 'partition', partition: { ...settings, from: logStart, to: highWatermark } });
  for await (const stretch of walkPart(daemon, part, logStart, highWatermark, true)) {
    const { from, to } = stretch;
    if (!stretch.isSound) {
      damage.push({ topic, partition, from, to, what: stretch.what });
      continue;
    }
    await write({ kind: 'batches', number, from, to, batches: stretch.batches });
    end.batches += stretch.count;
    end.records += stretch.records;
    end.bytes += stretch.batches.length;
    progress.add(stretch.batches.length);
  }
}

/** The file is there with all that `fill` wrote, synced, or not at all. */
async function writeWhole(file: string, fill: (write: Exporting['write']) => Promise<void>): Promise<void> {
  const part = `${file}.part`;
  const handle = await openFor(part);
  try {
    await fill((frame) => handle.appendFile(encodeExportFrame(frame)));
    await handle.sync();
    await handle.close();
    await rename(part, file);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

async function openFor(part: string): Promise<FileHandle> {
  try {
    return await open(part, 'w');
  } catch (cause) {
    throw new HeadwaterError('USAGE', `${part} can't be written: ${String(cause)}`, { cause });
  }
}

function report(
  file: string,
  partitions: number,
  end: ExportEnd,
  damage: readonly Damage[],
  { output }: ExportOptions,
  { out, err }: Terminal,
): number {
  for (const { topic, partition, from, to, what } of damage) {
    err.write(`left out: ${topic}/${partition} from offset ${from} to ${to - 1}: ${what}\n`);
  }
  const { records, bytes } = end;
  if (output === 'json') out.write(`${JSON.stringify({ file, partitions, ...end, damage })}\n`);
  else out.write(`${file}: ${partitions} partitions, ${records} records, ${formatAmount(bytes)}\n`);
  return damage.length === 0 ? EXIT.done : EXIT.unhealthy;
}

/** What `consume -f jsonl` writes, into a file. */
async function exportLines(
  file: string,
  topics: string[],
  options: ExportOptions,
  terminal: Terminal,
): Promise<number> {
  const [topic, ...others] = topics;
  if (topic === undefined || others.length > 0) {
    throw new HeadwaterError('USAGE', '-f jsonl writes one topic, as `headwater produce TOPIC` takes it: name one');
  }
  const part = `${file}.part`;
  const stream = createWriteStream(part, { flush: true });
  const written = new Promise<void>((resolve, reject) => stream.once('close', resolve).once('error', reject));
  // Whoever waits for it below is told; until then it must not count as unhandled.
  written.catch(() => undefined);
  const code = await consume(
    topic,
    { ...options, format: 'jsonl', offset: 'start', follow: false },
    { ...terminal, out: stream },
  ).finally(() => stream.end());
  await written;
  if (code === EXIT.done) await rename(part, file);
  else await rm(part, { force: true });
  return code;
}
