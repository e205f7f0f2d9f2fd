// `headwater topics`: list, describe, create, alter and delete topics of a running node.

import { formatBytes, formatDuration, isRefusal, parseBytesOrNone, parseDurationOrNever } from '../config-units.ts';
import { HeadwaterError } from '../errors.ts';
import { withAccess, type AccessOptions } from './access.ts';
import { topicPath, type Daemon } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { print, progress, table, type Terminal } from './terminal.ts';

export interface TopicOptions extends AccessOptions {
  output: 'text' | 'json';
}

interface Summary {
  name: string;
  partitions: number;
  records: number;
  bytes: number;
  retentionMs: number;
  retentionBytes: number;
  durability: string;
  whenFull: string;
}

interface Detail extends Summary {
  each: { partition: number; logStart: number; highWatermark: number; bytes: number }[];
}

const HEADINGS = ['TOPIC', 'PARTITIONS', 'RECORDS', 'BYTES', 'RETENTION', 'RETENTION BYTES', 'DURABILITY', 'WHEN FULL'];

export async function listTopics(options: TopicOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const topics = await daemon.getJson<Summary[]>('/topics');
    print(terminal, options.output, topics, () => table([HEADINGS, ...topics.map(rowOf)]));
  });
}

export async function describeTopic(name: string, options: TopicOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const topic = await daemon.getJson<Detail>(topicPath(name));
    const each = topic.each.map(({ partition, logStart, highWatermark, bytes }) => {
      return [partition, logStart, highWatermark, highWatermark - logStart, bytes];
    });
    const parts = [['PARTITION', 'FIRST OFFSET', 'NEXT OFFSET', 'RECORDS', 'BYTES'], ...each];
    print(terminal, options.output, topic, () => `${table([HEADINGS, rowOf(topic)])}\n${table(parts)}`);
  });
}

export interface SettingOptions extends TopicOptions {
  partitions?: number;
  retention?: string;
  retentionBytes?: string;
  cleanup?: string;
  durability?: string;
  whenFull?: string;
}

export async function createTopic(name: string, options: SettingOptions, terminal: Terminal): Promise<number> {
  return sendSettings('/topics', { name, ...settingsOf(options) }, options, terminal);
}

export async function alterTopic(name: string, options: SettingOptions, terminal: Terminal): Promise<number> {
  return sendSettings(topicPath(name), settingsOf(options), options, terminal);
}

function settingsOf(options: SettingOptions): object {
  const { partitions, retention, retentionBytes, cleanup, durability, whenFull } = options;
  return {
    ...(partitions !== undefined && { partitions }),
    ...(retention !== undefined && { retentionMs: valueOf('--retention', retention, parseDurationOrNever) }),
    ...(retentionBytes !== undefined && {
      retentionBytes: valueOf('--retention-bytes', retentionBytes, parseBytesOrNone),
    }),
    ...(cleanup !== undefined && { cleanup }),
    ...(durability !== undefined && { durability }),
    ...(whenFull !== undefined && { whenFull }),
  };
}

async function sendSettings(path: string, body: object, options: TopicOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const { text } = await daemon.send('POST', path, JSON.stringify(body));
    const topic = JSON.parse(text) as Summary;
    print(terminal, options.output, topic, () => table([HEADINGS, rowOf(topic)]));
  });
}

export interface DeleteOptions extends TopicOptions {
  yes: boolean;
}

export async function deleteTopic(name: string, options: DeleteOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const { records } = await daemon.getJson<Detail>(topicPath(name));
    if (!options.yes) {
      throw new HeadwaterError(
        'USAGE',
        `${name} and its ${records} records would be gone for ever: say --yes if they should`,
      );
    }
    await daemon.send('DELETE', topicPath(name));
    if (options.output === 'json') terminal.out.write(`${JSON.stringify({ deleted: name, records })}\n`);
    progress(terminal, `${name} is deleted`);
  });
}

async function withDaemon(
  options: AccessOptions,
  terminal: Terminal,
  act: (daemon: Daemon) => Promise<void>,
): Promise<number> {
  await withAccess(options, terminal, { isWritten: false }, act);
  return EXIT.done;
}

function rowOf({ name, partitions, records, bytes, ...settings }: Summary): (string | number)[] {
  const { retentionMs, retentionBytes, durability, whenFull } = settings;
  const kept = [formatDuration(retentionMs), formatBytes(retentionBytes)];
  return [name, partitions, records, bytes, ...kept, durability, whenFull];
}

function valueOf(option: string, text: string, parse: typeof parseDurationOrNever): number {
  const parsed = parse(text, { min: 1, max: Number.MAX_SAFE_INTEGER });
  if (isRefusal(parsed)) throw new HeadwaterError('USAGE', `${option} ${parsed.refused}`);
  return parsed;
}
