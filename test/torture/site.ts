// One card's life: a whole headwater on it, the writers, and the reader that holds what is there against the ledgers.

import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { readTopic } from '../parts/kcat.ts';
import { Sightings, type Difference, type ToldGap } from '../parts/sightings.ts';
import { until } from '../parts/until.ts';
import { answers } from './answers.ts';
import type { Card } from './card.ts';
import type { Preload } from './preload.ts';
import {
  openBridgeWriter,
  openKafkaWriter,
  openLinesWriter,
  openMqttWriter,
  readTorture,
  TOPICS,
  type TortureWriter,
} from './writers.ts';

export interface Site {
  readonly appliance: Appliance;
  readonly card: Card;
  readonly preload: Preload;
  /** Damage was done on purpose: gaps are expected, and somebody may be told of them. */
  damaged: boolean;
  /**
   * The end of a write-ahead log is gone. It looks like a write whose sync the power did not await: the next comparison of
   * everything counts what is lost, and takes it as it is.
   */
  isEndCut: boolean;
  /** That was so: QoS 2 ids and transactions have gone back with it, and the card is of no further use. */
  isOver: boolean;
  /** Acknowledgements so far, of all writers. */
  acked(): number;
  /** Starts it; resolves with the milliseconds until a sensor was acknowledged again. */
  start(): Promise<number>;
  /** Resolves when each of the writers has a new acknowledgement, or only the first of them; with the milliseconds. */
  goesOn(who: 'a sensor' | 'all'): Promise<number>;
  /** What is there against what was acknowledged: `new` reads what came since the last time, `all` everything. */
  compare(what: 'new' | 'all'): Promise<Finding>;
  /** Writers make no more, and all is acknowledged. */
  settle(): Promise<void>;
  /** Bytes of the log. */
  bytes(): Promise<number>;
  /** The ledgers as lines, for whoever looks into a difference. */
  ledgers(): Iterable<string>;
  close(): Promise<void>;
}

export interface Finding {
  differences: Difference[];
  /** Records that are lost and in a gap, found for the first time. */
  told: number;
  /** Lost with the end of a write-ahead log, which nobody can tell. */
  untold: number;
  /** Gaps that were not told the last time. */
  gaps: number;
  /** QoS 1 messages that are there once more, so far. */
  again: number;
}

/** Everything that is acknowledged by somebody must be so again within this time, also on a slow machine. */
const GOES_ON_MS = 120_000;
const NEVER = -1;

interface Settings {
  /** `commit.interval` and `commit.burst`: with a burst each commit starts at once. */
  commit: Record<string, string>;
}

export async function openSite(card: Card, preload: Preload, { commit }: Settings): Promise<Site> {
  const bridge = await openBridgeWriter();
  const lines = await openLinesWriter();
  const dir = join(card.folder, 'data');
  await mkdir(dir, { recursive: true });
  const appliance = await createAppliance(
    {
      data: { dir, budget: '4GiB' },
      commit,
      routes: [{ mqtt: 'plant/+line/+machine/#', topic: 'readings', key: '{line}/{machine}' }],
      topics: Object.fromEntries(Object.entries(TOPICS).map(([name, partitions]) => [name, { partitions }])),
      serial: [
        { path: bridge.path, topic: 'bench', framing: 'bridge', name: 'bridge' },
        { path: lines.path, topic: 'lines', name: 'machine' },
      ],
    },
    preload.env,
  );
  // A run that is interrupted leaves no configuration behind.
  const sweep = (): void => rmSync(appliance.folder, { recursive: true, force: true });
  process.once('exit', sweep);
  await appliance.start();
  const writers: TortureWriter[] = [
    openMqttWriter(appliance.mqttPort, 1),
    openMqttWriter(appliance.mqttPort, 2),
    bridge,
    lines,
    openKafkaWriter(appliance.kafka, 'idempotent'),
    openKafkaWriter(appliance.kafka, 'transactional'),
  ];
  let sightings = new Sightings(writers, readTorture);
  /** Offset of the last record that was read, by `topic partition`. */
  let last = new Map<string, number>();
  let gapsSeen = 0;

  const ackedOf = (): number[] => writers.map(({ acked }) => acked ?? NEVER);

  async function goesOn(who: 'a sensor' | 'all'): Promise<number> {
    const startMs = performance.now();
    const before = ackedOf();
    const isOn = (): boolean => {
      if (!appliance.isRunning()) throw new Error(`headwater ended by itself:\n${appliance.output().slice(-4_000)}`);
      const some = ackedOf().map((acked, index) => acked === NEVER || acked > before[index]!);
      return who === 'all' ? some.every(Boolean) : some[0]! || some[1]!;
    };
    const tell = (): string => `${before.join(' ')} ${ackedOf().join(' ')}\n${appliance.output().slice(-3_000)}`;
    await until(`${who} is acknowledged again`, isOn, GOES_ON_MS, tell);
    return performance.now() - startMs;
  }

  async function read(into: Sightings, from: ReadonlyMap<string, number>): Promise<Map<string, number>> {
    const reached = new Map<string, number>();
    const parts = Object.entries(TOPICS).flatMap(([topic, partitions]) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
    );
    await Promise.all(
      parts.map(async ({ topic, partition }) => {
        const id = `${topic} ${partition}`;
        const seen = from.get(id);
        const records = await readTopic(appliance.kafka, topic, partition, seen ?? 'beginning');
        // The one that was read last is there again, or the log has gone back.
        if (seen !== undefined && records.shift()?.offset !== seen) throw new WentBack(`${id} at ${seen}`);
        into.add(topic, records);
        reached.set(id, records.at(-1)?.offset ?? seen ?? NEVER);
        if (reached.get(id) === NEVER) reached.delete(id);
      }),
    );
    return reached;
  }

  /** Programs say what they made a moment later than the records are there. */
  async function hearAll(): Promise<void> {
    const isHeard = (): boolean => writers.every(({ name, made }) => made > sightings.highest(name));
    await until('the writers tell what they made', isHeard, 10_000).catch(() => undefined);
  }

  async function compare(what: 'new' | 'all'): Promise<Finding> {
    // kcat does not ask again soon where nobody answers yet.
    await until('Kafka clients are served', () => answers(appliance.kafka), GOES_ON_MS, appliance.output);
    const acked = new Map(
      writers.map((each) => [each.name, Array.from({ length: each.made }, (_, number) => each.isAcked(number))]),
    );
    const before = sightings;
    const isFresh = what === 'all';
    if (isFresh) sightings = new Sightings(writers, readTorture, before);
    try {
      last = new Map([...last, ...(await read(sightings, isFresh ? new Map() : last))]);
    } catch (error) {
      if (!(error instanceof WentBack)) throw error;
      const found = await compare('all');
      if (!site.damaged) found.differences.push({ kind: 'lost', text: `the log went back: ${error.message}` });
      return found;
    }
    await hearAll();
    const gaps = await gapsOf(appliance);
    const comparison = sightings.compare(gaps, acked);
    const { told, again } = comparison;
    let { differences } = comparison;
    let untold = 0;
    if (isFresh) differences.push(...sightings.compareWith(before, gaps));
    if (isFresh && site.isEndCut) {
      site.isEndCut = false;
      site.isOver = true;
      untold = sightings.forgive(acked);
      // Offsets that nobody knows to be used are given again.
      differences = differences.filter(({ kind }) => kind !== 'lost' && kind !== 'moved');
    }
    const isNew = gaps.length - gapsSeen;
    gapsSeen = gaps.length;
    if (!site.damaged) {
      for (const gap of gaps) differences.push({ kind: 'wrong gap', text: `without damage: ${JSON.stringify(gap)}` });
      for (const { name, complaints } of writers) {
        for (const text of complaints) differences.push({ kind: 'lost', text: `${name}: ${text}` });
      }
    }
    return { differences, told, untold, gaps: isNew, again };
  }

  const site: Site = {
    appliance,
    card,
    preload,
    damaged: false,
    isEndCut: false,
    isOver: false,
    acked: () => ackedOf().reduce((all, each) => all + Math.max(0, each), 0),
    async start() {
      appliance.launch();
      return goesOn('a sensor');
    },
    goesOn,
    compare,
    async settle() {
      for (const writer of writers) await writer.settle(GOES_ON_MS);
    },
    async bytes() {
      return (await appliance.status()).log.bytes;
    },
    *ledgers() {
      for (const writer of writers) {
        const { name, topic, rule, made, acked, complaints } = writer;
        yield JSON.stringify({ name, topic, rule, made, acked, complaints });
        for (let number = 0; number < made; number += 1) {
          yield `${name} ${number} ${writer.keyOf(number)} sent ${writer.sends(number)} ${writer.isAcked(number) ? 'acknowledged' : 'open'}`;
        }
      }
    },
    async close() {
      for (const writer of writers) await writer.close();
      await appliance.remove();
      process.off('exit', sweep);
    },
  };
  return site;
}

class WentBack extends Error {}

/** What `headwater gaps -o json` tells. */
async function gapsOf(appliance: Appliance): Promise<ToldGap[]> {
  const answer = await fetch(`${appliance.http}/gaps`);
  return ((await answer.json()) as { gaps: ToldGap[] }).gaps;
}
