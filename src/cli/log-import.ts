// `headwater log import`: what `log export` wrote, into a log, exactly once: the log keeps with the records which offsets
// of which topic they were, and skips what it has. So an import that broke off is repeated with the same file, and files
// may overlap.

import { open, type FileHandle } from 'node:fs/promises';
import { formatAmount, isRefusal, parseTopicName } from '../config-units.ts';
import { HeadwaterError, isHeadwaterError, messageOf } from '../errors.ts';
import { readBatchHeader, splitBatches } from '../formats/batch.ts';
import { ExportReader, type ExportFrame, type ExportPartition } from '../formats/export.ts';
import { withAccess, type AccessOptions } from './access.ts';
import { topicPath, type Daemon } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { openProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

export interface ImportOptions extends AccessOptions {
  output: 'text' | 'json';
  /** `{topic}` and `{node}` stand for those of the export. */
  rename: string;
}

interface Imported {
  partitions: number;
  records: number;
  /** That were here already. */
  skipped: number;
  bytes: number;
  /** Topics whose retention is shorter than what came in is old. */
  expiring: string[];
}

/** A partition of the file, and where it goes. */
interface Target {
  path: string;
  /** What is here already. */
  imported: [number, number][];
  topic: string;
  /** What is older than this expires as soon as it is here. */
  expiresMs: number;
}

const READ_BYTES = 1024 * 1024;
const TYPE = 'application/octet-stream';

export async function importLog(file: string, options: ImportOptions, terminal: Terminal): Promise<number> {
  const handle = await openFile(file);
  try {
    return await withAccess(options, terminal, { isWritten: true }, async (daemon) => {
      const progress = openProgress(terminal, 'imported', (await handle.stat()).size);
      const found: Imported = { partitions: 0, records: 0, skipped: 0, bytes: 0, expiring: [] };
      let isWhole = false;
      try {
        isWhole = await importFrames(framesOf(handle, progress.add), daemon, options, found, terminal);
      } catch (error) {
        if (terminal.signal.aborted) return EXIT.interrupted;
        if (found.records > 0)
          terminal.err.write(`${found.records} records were kept before this; repeat it, and they are skipped:\n`);
        throw error;
      } finally {
        progress.end();
      }
      report(file, found, isWhole, options, terminal);
      return isWhole ? EXIT.done : EXIT.failed;
    });
  } finally {
    await handle.close();
  }
}

/** Throws USAGE. */
export async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (cause) {
    throw new HeadwaterError('USAGE', `${file} can't be read: ${messageOf(cause)}`, { cause });
  }
}

/** The frames of the file up to where it is cut, if it is. Throws FORMAT_CORRUPT. */
export async function* framesOf(handle: FileHandle, onRead: (bytes: number) => void): AsyncGenerator<ExportFrame> {
  const reader = new ExportReader();
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
    if (bytesRead === 0) return;
    yield* reader.push(buffer.subarray(0, bytesRead));
    onRead(bytesRead);
  }
}

/** True when the file has its end. */
async function importFrames(
  frames: AsyncIterable<ExportFrame>,
  daemon: Daemon,
  options: ImportOptions,
  found: Imported,
  { signal, clock }: Terminal,
): Promise<boolean> {
  const targets: Target[] = [];
  let node: string | undefined;
  for await (const frame of frames) {
    signal.throwIfAborted();
    if (frame.kind === 'end') return true;
    if (frame.kind === 'head') node = frame.head.node;
    else if (node === undefined)
      throw new HeadwaterError('FORMAT_CORRUPT', 'this is no export of headwater: it has no head');
    else if (frame.kind === 'partition') {
      const topic = nameFor(frame.partition.topic, node, options.rename);
      targets.push(await targetOf(daemon, frame.partition, topic, clock.wallMs()));
      found.partitions += 1;
    } else {
      const target = targets[frame.number];
      if (target === undefined)
        throw new HeadwaterError('FORMAT_CORRUPT', `the export has no partition ${frame.number}`);
      await importBatches(daemon, target, frame, found);
    }
  }
  return false;
}

function nameFor(topic: string, node: string, rename: string): string {
  const name = rename.replaceAll('{topic}', topic).replaceAll('{node}', node);
  const parsed = parseTopicName(name);
  if (isRefusal(parsed))
    throw new HeadwaterError('USAGE', `--rename ${rename} makes ${JSON.stringify(name)}, which ${parsed.refused}`);
  return parsed;
}

/** The partition that is imported into; its topic is made where there is none. */
async function targetOf(daemon: Daemon, partition: ExportPartition, topic: string, nowMs: number): Promise<Target> {
  const { partitions, retentionMs, retentionBytes, cleanup, durability, whenFull, topicId } = partition;
  const found = await settingsOf(daemon, topic);
  const has = found?.partitions ?? partitions;
  if (found === undefined) {
    const settings = { name: topic, partitions, retentionMs, retentionBytes, cleanup, durability, whenFull };
    await daemon.send('POST', '/topics', JSON.stringify(settings));
  } else if (has <= partition.partition) {
    const next = `set topics.${topic}.partitions to ${partitions} there, or import under another name with --rename`;
    throw new HeadwaterError(
      'USAGE',
      `topic ${topic} has ${has} partitions, and partition ${partition.partition} comes in: ${next}`,
    );
  }
  const path = `${topicPath(topic)}/partitions/${partition.partition}/imports?source=${topicId}`;
  const { imported } = await daemon.getJson<{ imported: [number, number][] }>(path);
  const keptMs = found?.retentionMs ?? retentionMs;
  return { path, imported, topic, expiresMs: keptMs < 0 ? -Infinity : nowMs - keptMs };
}

async function settingsOf(
  daemon: Daemon,
  topic: string,
): Promise<{ partitions: number; retentionMs: number } | undefined> {
  try {
    return await daemon.getJson(topicPath(topic));
  } catch (error) {
    if (isHeadwaterError(error, 'TOPIC_UNKNOWN')) return undefined;
    throw error;
  }
}

async function importBatches(
  daemon: Daemon,
  { path, imported, topic, expiresMs }: Target,
  { from, to, batches }: ExportFrame & { kind: 'batches' },
  found: Imported,
): Promise<void> {
  if (imported.some(([start, end]) => start <= from && end >= to)) {
    for (const batch of splitBatches(batches)) found.skipped += readBatchHeader(batch).recordCount;
    return;
  }
  const isOld = splitBatches(batches).some((batch) => readBatchHeader(batch).maxTimestampMs < expiresMs);
  if (isOld && !found.expiring.includes(topic)) found.expiring.push(topic);
  const { text } = await daemon.send('POST', `${path}&from=${from}&to=${to}`, batches, TYPE);
  const { records, skipped, bytes } = JSON.parse(text) as Imported;
  found.records += records;
  found.skipped += skipped;
  found.bytes += bytes;
}

function report(
  file: string,
  found: Imported,
  isWhole: boolean,
  { output }: ImportOptions,
  { out, err }: Terminal,
): void {
  const { partitions, records, skipped, bytes, expiring } = found;
  if (output === 'json') out.write(`${JSON.stringify({ file, isWhole, ...found })}\n`);
  else {
    const before = skipped === 0 ? '' : `; ${skipped} were here already`;
    out.write(`${file}: ${records} records, ${formatAmount(bytes)}, ${partitions} partitions${before}\n`);
  }
  for (const topic of expiring) {
    err.write(`records of ${topic} are older than its retention and go soon: raise topics.${topic}.retention\n`);
  }
  if (!isWhole)
    err.write(`${file} is cut: what stands before the cut is here. Copy it again and repeat, nothing is doubled\n`);
}
