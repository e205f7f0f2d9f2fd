// Words for journeys through a whole headwater in this process: real sockets on ports that stay the same when it is opened
// again, a folder that goes with the test, and independent clients to publish and to read.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Consumer } from '@platformatic/kafka';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { openHeadwater, type Headwater, type HeadwaterNeeds } from '../../src/headwater.ts';
import type { Status } from '../../src/http/status.ts';
import type { MirrorStatus } from '../../src/mirror/mirror-status.ts';
import { createTrace } from '../../src/trace.ts';
import { until } from '../parts/until.ts';

export interface Node {
  /** Of the one that is open, or was last. */
  readonly headwater: Headwater;
  readonly kafka: string;
  readonly http: string;
  readonly folder: string;
  readonly lines: string[];
  /** A client that is connected, and closed with the node. What it is sent, from the first on, goes to `inbox`. */
  mqtt(options?: IClientOptions, inbox?: string[]): Promise<MqttClient>;
  mirror(name?: string): MirrorStatus;
  /** Resolves when that mirror has sent all there is. */
  mirrored(name?: string): Promise<void>;
  /** Opens it again on the same folder and ports. */
  open(): Promise<void>;
  /** As SIGTERM does. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export interface Read {
  key: string | undefined;
  value: string | undefined;
  headers: Record<string, string>;
  timestampMs: number;
}

const anywhere = (): { listen: string } => ({ listen: '127.0.0.1:0' });

/** Opens a node with the settings of `tree`, as headwater.yaml has them. */
export async function openNode(tree: Record<string, unknown> = {}, more: Partial<HeadwaterNeeds> = {}): Promise<Node> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-journey-'));
  const lines: string[] = [];
  const trace = createTrace({ write: (line) => void lines.push(line), isJournal: false });
  const clients = new Set<MqttClient>();
  const doors = { mqtt: anywhere(), kafka: anywhere(), http: anywhere() };
  let headwater: Headwater;
  let isOpen = false;

  async function open(): Promise<void> {
    const config = loadConfig({ tree: { node: { name: 'edge' }, data: { dir: folder }, ...doors, ...tree } });
    headwater = await openHeadwater(config, { clock: systemClock, trace, ...more });
    isOpen = true;
    for (const door of ['mqtt', 'kafka', 'http'] as const) doors[door].listen = headwater.addresses[door]!;
  }

  async function stop(): Promise<void> {
    if (!isOpen) return;
    isOpen = false;
    await headwater.stop();
  }

  function mirror(name = 'dc'): MirrorStatus {
    const found = headwater.status().rooms['mirror'] as MirrorStatus[];
    return found.find((each) => each.name === name)!;
  }

  try {
    await open();
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
  return {
    get headwater() {
      return headwater;
    },
    get kafka() {
      return doors.kafka.listen;
    },
    get http() {
      return `http://${doors.http.listen}`;
    },
    folder,
    lines,
    async mqtt(options = {}, inbox = []) {
      const client = connect(`mqtt://${doors.mqtt.listen}`, { reconnectPeriod: 50, ...options });
      clients.add(client);
      client.on('error', () => undefined);
      client.on('message', (topic, payload, { retain }) => {
        inbox.push(`${topic} ${payload.toString()}${retain ? ' retained' : ''}`);
      });
      await new Promise((resolve) => client.once('connect', resolve));
      return client;
    },
    mirror,
    mirrored: (name) =>
      until(
        'all is upstream',
        () => mirror(name).partitions.every(({ position, end }) => position === end),
        15_000,
        () => JSON.stringify(mirror(name)),
      ),
    open,
    stop,
    async remove() {
      for (const client of clients) await client.endAsync(true);
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** All records of a partition, as @platformatic/kafka reads them. */
export async function readPartition(bootstrap: string, topic: string, partition = 0): Promise<Read[]> {
  const consumer = new Consumer({ clientId: 'reader', groupId: 'unused', bootstrapBrokers: [bootstrap], retries: 0 });
  const found: Read[] = [];
  try {
    const { topics: known } = await consumer.metadata({ topics: [topic] });
    const topicId = known.get(topic)!.id;
    for (let isMore = true; isMore;) {
      const wanted = { partition, currentLeaderEpoch: 0, lastFetchedEpoch: 0, partitionMaxBytes: 1 << 20 };
      const topics = [{ topicId, partitions: [{ ...wanted, fetchOffset: BigInt(found.length) }] }];
      const answer = await consumer.fetch({ node: 1, maxWaitTime: 10, topics });
      const { records, highWatermark } = answer.responses[0]!.partitions[0]!;
      for (const batch of records ?? []) {
        for (const record of batch.records) {
          if (Number(batch.firstOffset) + record.offsetDelta < found.length) continue;
          const headers = record.headers.map(([name, value]) => [String(name), String(value)] as const);
          found.push({
            key: record.key?.toString(),
            value: record.value?.toString(),
            headers: Object.fromEntries(headers),
            timestampMs: Number(batch.firstTimestamp + record.timestampDelta),
          });
        }
      }
      isMore = found.length < Number(highWatermark);
    }
  } finally {
    await consumer.close();
  }
  return found;
}

/** All values of a topic's partitions, sorted as numbers. */
export async function numbersOf(bootstrap: string, topic: string, partitions = 1): Promise<number[]> {
  const all = await Promise.all(
    Array.from({ length: partitions }, (_, index) => readPartition(bootstrap, topic, index)),
  );
  return all.flatMap((records) => records.map(({ value }) => Number(value))).toSorted((a, b) => a - b);
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

export async function statusOf(node: Node): Promise<Status> {
  return (await (await fetch(`${node.http}/status`)).json()) as Status;
}
