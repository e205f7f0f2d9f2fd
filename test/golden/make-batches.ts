// Makes test/golden/batches and test/golden/lz4 anew: real producers write to a real Apache Kafka, and the segment files of
// its log are kept as they are. README.md beside this says how to run it and what it needs.

import { execFile } from 'node:child_process';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kafkaLib, startKafka } from '../parts/kafka.ts';
import type { Kafka } from '../parts/kafka.ts';
import { kcat } from '../parts/kcat.ts';
import { FEW, HEADERS, MANY } from './readings.ts';
import type { Reading } from './readings.ts';

const run = promisify(execFile);
const HERE = import.meta.dirname;
const BATCHES = join(HERE, 'batches');
const LZ4 = join(HERE, 'lz4');
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

async function kcatProduce(kafka: Kafka, topic: string, codec: string, readings: Reading[]): Promise<void> {
  const headers = HEADERS.flatMap(({ key, value }) => ['-H', `${key}=${value!.toString()}`]);
  const lines = readings.map(({ key, value }) => `${key}\t${value ?? ''}\n`).join('');
  const settings = ['-X', 'linger.ms=1000', '-z', codec];
  // -Z makes an empty value a null one.
  await kcat(['-P', '-b', kafka.bootstrap, '-t', topic, '-p', '0', '-K', '\t', '-Z', ...settings, ...headers], lines);
}

async function consoleProduce(kafka: Kafka, topic: string, codec: string, readings: Reading[]): Promise<void> {
  const headers = HEADERS.map(({ key, value }) => `${key}:${value!.toString()}`).join(',');
  const lines = readings.map(({ key, value }) => `${headers}\t${key}\t${value ?? 'NULL'}\n`).join('');
  const reader = ['parse.key=true', 'parse.headers=true', 'null.marker=NULL'];
  const args = ['--topic', topic, '--compression-codec', codec, '--batch-size', '1000000', '--timeout', '1000'];
  await kafka.tool('ConsoleProducer', [...args, ...reader.flatMap((each) => ['--reader-property', each])], lines);
}

async function createTopic(kafka: Kafka, topic: string, ...settings: string[]): Promise<void> {
  const config = settings.flatMap((setting) => ['--config', setting]);
  await kafka.tool('TopicCommand', ['--create', '--topic', topic, '--partitions', '1', ...config]);
}

/** The lz4 program's own frames: linked blocks and the optional fields, which no Kafka client at hand writes. */
async function makeLz4Frames(): Promise<void> {
  const text = join(LZ4, 'text');
  await writeFile(text, MANY.map(({ value }) => value).join('\n'));
  const kinds = {
    linked: ['-B4', '-BD'],
    'block-checksums': ['-B4', '-BX'],
    'content-size': ['-B5', '--content-size', '--no-frame-crc'],
  };
  for (const [name, flags] of Object.entries(kinds)) {
    await run('lz4', ['-q', '-f', ...flags, text, join(LZ4, `${name}.lz4`)]);
  }
  await rm(text);
}

await Promise.all([rm(BATCHES, { recursive: true, force: true }), rm(LZ4, { recursive: true, force: true })]);
await Promise.all([mkdir(BATCHES), mkdir(LZ4)]);
await makeLz4Frames();
const kafka = await startKafka();
try {
  const topics: string[] = [];
  for (const codec of CODECS) {
    for (const [size, readings] of Object.entries(codec === 'none' ? { few: FEW } : { few: FEW, many: MANY })) {
      await kcatProduce(kafka, `kcat-${codec}-${size}`, codec, readings);
      await consoleProduce(kafka, `console-${codec}-${size}`, codec, readings);
      topics.push(`kcat-${codec}-${size}`, `console-${codec}-${size}`);
    }
  }
  // The broker's limit on times ahead of its clock would refuse the golden ones.
  const anyTime = 'message.timestamp.after.max.ms=9223372036854775807';
  await createTopic(kafka, 'java-times', anyTime);
  await createTopic(kafka, 'java-plain', anyTime);
  await createTopic(kafka, 'java-transactions', anyTime);
  await createTopic(kafka, 'java-append-time', 'message.timestamp.type=LogAppendTime');
  const java = ['-cp', await kafkaLib(), join(HERE, 'GoldenProducer.java'), kafka.bootstrap];
  await run('java', ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', ...java]);
  topics.push('java-times', 'java-plain', 'java-transactions', 'java-append-time');
  for (const topic of topics) {
    const segment = join(kafka.dir, 'data', `${topic}-0`, '00000000000000000000.log');
    await copyFile(segment, join(BATCHES, `${topic}.bin`));
  }
} finally {
  await kafka.stop();
}
