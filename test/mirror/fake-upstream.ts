// Words for tests that mirror a log in memory to a broker in memory: both sides can be made to fail at any point, and the
// mirror can be killed as a process is, with the positions that were on the card at that moment.

import type { Socket } from 'node:net';
import { systemClock } from '../../src/clock.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import type { Log, Partition, Position, Positions } from '../../src/log/log.ts';
import type { Connect } from '../../src/mirror/connection.ts';
import { openMirrors, type MirrorConfig, type MirrorNeeds, type Mirrors } from '../../src/mirror/mirror.ts';
import type { MirrorStatus } from '../../src/mirror/mirror-status.ts';
import { plainConnect } from '../../src/mirror/plain-connect.ts';
import { createTrace } from '../../src/trace.ts';
import { startBroker, type BrokerOptions, type FakeBroker } from '../fakes/broker.ts';
import { fakeLog, type FakeLog } from '../fakes/log.ts';
import { batchOf } from '../log/open-log.ts';

export interface Pair {
  broker: FakeBroker;
  log: FakeLog;
  lines: string[];
  /** What is on the card: positions that were made durable, or that time has written. */
  card: Map<string, Position>;
  status(): MirrorStatus;
  append(topic: string, count: number, partition?: number): Promise<void>;
  /** The same in a transaction; returns what commits it. */
  begin(topic: string, count: number): Promise<() => Promise<void>>;
  /** Records that are aborted. */
  abort(topic: string, count: number): Promise<void>;
  open(needs?: Partial<MirrorNeeds>): Promise<void>;
  close(): Promise<void>;
  /** kill -9: sockets reset, nothing more is written. Each lazy position has reached the card or not, by `isWritten`. */
  kill(isWritten: () => boolean): void;
  drained(timeoutMs?: number): Promise<void>;
  upstream(topic: string, partition?: number): number[];
  remove(): Promise<void>;
}

interface Life {
  mirrors: Mirrors;
  isAlive: boolean;
  sockets: Set<Socket>;
  lazy: Map<string, Position>;
}

/** With TLS the mirror connects by itself, and `kill` leaves its sockets alone. */
export async function openPair(config: Partial<MirrorConfig> = {}, options: BrokerOptions = {}): Promise<Pair> {
  const broker = await startBroker(options);
  const log = fakeLog();
  const lines: string[] = [];
  const card = new Map<string, Position>();
  const trace = createTrace({ level: 'debug', isJournal: false, write: (line) => void lines.push(line) });
  const next = new Map<Partition, number>();
  let life: Life;

  const pair: Pair = {
    broker,
    log,
    lines,
    card,
    status: () => life.mirrors.status()[0]!,
    async append(topic, count, index = 0) {
      log.ensureTopic(topic);
      const partition = log.partition(topic, index);
      const first = next.get(partition) ?? 0;
      next.set(partition, first + count);
      await partition.append(batchOf(first, count));
    },
    async begin(topic, count) {
      log.ensureTopic(topic);
      const partition = log.partition(topic);
      const first = next.get(partition) ?? 0;
      next.set(partition, first + count);
      const producerId = 1_000_000 + first;
      await partition.append(withinTransaction(producerId, first, count), true);
      return () => partition.endTransaction({ producerId, producerEpoch: 0, isCommit: true }).done();
    },
    async abort(topic, count) {
      log.ensureTopic(topic);
      const partition = log.partition(topic);
      const producerId = 2_000_000 + partition.highWatermark;
      await partition.append(withinTransaction(producerId, -1000, count), true);
      await partition.endTransaction({ producerId, producerEpoch: 0, isCommit: false }).done();
    },
    async open(needs = {}) {
      const started: Life = { mirrors: undefined as never, isAlive: true, sockets: new Set(), lazy: new Map() };
      life = started;
      started.mirrors = await openMirrors({
        mirrors: [{ name: 'dc', bootstrap: [broker.address], ...config }],
        log: withPositions(log, started, card),
        nodeName: 'n',
        clock: systemClock,
        trace,
        requestTimeoutMs: 2_000,
        quiesceMs: 60,
        refusedRetryMs: 50,
        ...(config.tls === undefined && { connect: connectIn(started) }),
        ...needs,
      });
    },
    close: () => life.mirrors.close(),
    kill(isWritten) {
      life.isAlive = false;
      for (const socket of life.sockets) socket.resetAndDestroy();
      for (const [key, position] of life.lazy) if (isWritten()) card.set(key, position);
      void life.mirrors.close();
    },
    async drained(timeoutMs = 10_000) {
      const endMs = Date.now() + timeoutMs;
      while (pair.status().backlog.records > 0) {
        if (Date.now() > endMs)
          throw new Error(`not drained: ${JSON.stringify(pair.status())}\n${lines.slice(-20).join('\n')}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    upstream: (topic, partition) => broker.records(topic, partition).map(({ value }) => Number(String(value))),
    async remove() {
      if (life.isAlive) await life.mirrors.close();
      await broker.close();
    },
  };
  return pair;
}

function withinTransaction(producerId: number, first: number, count: number): Buffer {
  const records = Array.from({ length: count }, (_, index) => {
    return { timestampMs: 1_700_000_000_000, key: null, value: Buffer.from(String(first + index)) };
  });
  return encodeBatch(records, { producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true });
}

/** Plain TCP, whose sockets end with that life. */
function connectIn(life: Life): Connect {
  return async (target, signal) => {
    if (!life.isAlive) throw new Error('killed');
    const socket = await plainConnect(target, signal);
    life.sockets.add(socket);
    return socket;
  };
}

function withPositions(log: FakeLog, life: Life, card: Map<string, Position>): Log {
  const keyOf = (owner: string, { topic, index }: Partition): string => `${owner} ${topic.name} ${index}`;
  const positions: Positions = {
    get: (owner, partition) => card.get(keyOf(owner, partition)),
    set(owner, partition, position, durable) {
      if (!life.isAlive) return new Promise(() => undefined);
      const kept = structuredClone(position);
      const key = keyOf(owner, partition);
      if (!durable) {
        life.lazy.set(key, kept);
        return Promise.resolve();
      }
      life.lazy.delete(key);
      card.set(key, kept);
      return Promise.resolve();
    },
    pin: () => undefined,
    unpin: () => undefined,
  };
  return { ...log, positions };
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
