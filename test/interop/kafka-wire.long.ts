// tshark, as a reader of the wire that shares no code with headwater, finds nothing malformed in what the door answers to
// real clients. The bytes of the two directions are taken by a relay, so that no right to capture is needed.

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { decodeRequestHeader } from '../../src/formats/kafka/envelope.ts';
import { FrameSplitter } from '../../src/formats/kafka/framing.ts';
import { kcat } from '../parts/kcat.ts';
import { javaTool } from './java-tool.ts';
import { openNode, readings } from './open-node.ts';
import { openRelay, type Packet } from './relay.ts';

const run = promisify(execFile);
const PACKET_BYTES = 1400;

/** What text2pcap reads: a direction and offsets with hexadecimal bytes. */
function hexDump(packets: readonly Packet[]): string {
  let text = '';
  for (const { direction, bytes } of packets) {
    for (let at = 0; at < bytes.length; at += PACKET_BYTES) {
      const packet = bytes.subarray(at, at + PACKET_BYTES);
      text += `${direction}\n`;
      for (let line = 0; line < packet.length; line += 16) {
        const digits = packet.subarray(line, line + 16).toString('hex');
        text += `${line.toString(16).padStart(6, '0')} ${digits.replaceAll(/../g, '$& ')}\n`;
      }
    }
  }
  return text;
}

/** The versions of an API that a client asked in, over all its connections. */
function versionsAsked(connections: readonly (readonly Packet[])[], key: number): Set<number> {
  const versions = new Set<number>();
  for (const packets of connections) {
    const splitter = new FrameSplitter(1 << 24);
    for (const { direction, bytes } of packets) {
      if (direction === 'O') continue;
      for (const frame of splitter.push(bytes)) {
        const { apiKey, apiVersion } = decodeRequestHeader(frame).header;
        if (apiKey === key) versions.add(apiVersion);
      }
    }
  }
  return versions;
}

async function tshark(packets: readonly Packet[], filter: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-wire-'));
  const [dump, capture] = [join(folder, 'dump.txt'), join(folder, 'capture.pcap')];
  try {
    await writeFile(dump, hexDump(packets));
    await run('text2pcap', ['-q', '-D', '-T', '40000,9092', dump, capture]);
    const decoding = ['-r', capture, '-d', 'tcp.port==9092,kafka', '-Y', filter, '-T', 'fields', '-e', 'frame.number'];
    const { stdout } = await run('tshark', [...decoding, '-e', '_ws.col.Info'], { maxBuffer: 1 << 26 });
    return stdout.split('\n').filter((line) => line !== '');
  } catch (error) {
    throw new Error('tshark can not be run: install tshark (with text2pcap)', { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('tshark reads every answer that kcat and Java get, and finds nothing malformed', async () => {
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  const node = await openNode({ advertisePort: relay.port });
  relay.target = node.port;
  onTestFinished(() => node.close());
  const bootstrap = `127.0.0.1:${relay.port}`;
  const input = readings(300)
    .map(({ key, value }) => `${key}|${value}\n`)
    .join('');
  for (const compression of ['none', 'gzip', 'zstd']) {
    await kcat(['-b', bootstrap, '-P', '-t', 'wire', '-z', compression, '-K', '|'], input);
  }
  await kcat(['-b', bootstrap, '-C', '-t', 'wire', '-o', 'beginning', '-e', '-q']);
  await kcat(['-b', bootstrap, '-L']);
  await kcat(['-b', bootstrap, '-Q', '-t', 'wire:0:-1']);
  const reading = ['--topic', 'wire', '--partition', '0', '--offset', 'earliest', '--max-messages', '900'];
  await javaTool(bootstrap, 'consumer.ConsoleConsumer', reading);
  await javaTool(bootstrap, 'TopicCommand', ['--describe']);
  await kcat(['-b', bootstrap, '-G', 'wire', '-X', 'auto.offset.reset=earliest', '-e', '-q', 'wire']);
  await javaTool(bootstrap, 'consumer.ConsoleConsumer', [
    ...reading.slice(0, 2),
    '--group',
    'wire',
    '--timeout-ms',
    '3000',
  ]);
  for (const what of [
    ['--list', '--state'],
    ['--describe', '--group', 'wire'],
    ['--delete', '--group', 'wire'],
  ]) {
    await javaTool(bootstrap, 'consumer.group.ConsumerGroupCommand', what);
  }

  // librdkafka by names, Java by the ids that Metadata gave it.
  expect(versionsAsked(relay.connections, fetch.key)).toEqual(new Set([11, 17]));

  let count = 0;
  const told = new Set<string>();
  const packets = relay.connections.flat();
  for (const packets of relay.connections) {
    const unclear = await tshark(packets, '_ws.malformed');
    // It does not know the newest versions and APIs, and takes them for malformed. So it does with what Java asks of
    // ListPartitionReassignments, and with the bytes of members in JoinGroup and SyncGroup, of whose length it reads two
    // bytes instead of four (golden bytes of Java's own classes hold these), and with answers to what it could not read.
    const unknown =
      /Unsupported API version|Unknown API key|ListPartitionReassignments v0 Request|(Join|Sync)Group v\d Re|Request Missing/;
    expect(unclear.filter((line) => !unknown.test(line))).toEqual([]);
    const answers = (await tshark(packets, 'kafka')).filter((line) => /v\d+ Response$/.test(line));
    count += answers.length;
    for (const line of answers) told.add(/Kafka (\w+) v/.exec(line)?.[1] ?? line);
  }
  expect(packets.length).toBeGreaterThan(40);
  expect(count).toBeGreaterThan(20);
  for (const api of ['FindCoordinator', 'OffsetCommit', 'OffsetFetch', 'LeaveGroup']) {
    expect([...told]).toContain(api);
  }
});
