// The mirrors: each copies topics of the log to one upstream Kafka cluster, every record exactly once and in the order
// of its partition. One loop a partition (stream.ts) over what all of a mirror share: the client, what it knows of the
// upstream, one queue a leader, one budget of memory.
//
// A shared upstream topic (`rename: "{topic}"`) takes the records of several nodes. Local partition p goes to upstream
// partition p, so that the records of one key stay in one partition, in order for each node, when all nodes and the
// upstream have the same number of partitions. With `partition` every local partition goes to that one: a node then has
// an upstream partition of its own, and only its own records are read when something has to be settled. In either case
// each source of an upstream partition sends under a producer id of its own.

import type { Clock } from '../clock.ts';
import type { Log, LogGap, Partition } from '../log/log.ts';
import type { Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { createAccess } from './access.ts';
import { createBudget } from './budget.ts';
import type { Connect } from './connection.ts';
import type { SaslConfig } from './login.ts';
import { mirrorMetrics } from './mirror-metrics.ts';
import { backlogOf, stateOf, type MirrorStatus } from './mirror-status.ts';
import { isMirrored, upstreamName } from './names.ts';
import { createProducerIds } from './producer-ids.ts';
import { createSender } from './sender.ts';
import { openStream, type Hold, type Stream } from './stream.ts';
import type { TlsConfig } from './tls-connect.ts';
import { emptyTotals, type RecreatedPolicy } from './stream-status.ts';
import { openTopology, type CreatePolicy } from './topology.ts';
import { openUpstream } from './upstream.ts';

export interface MirrorConfig {
  /** Names the mirror's positions: another name begins at the start of the log. */
  name: string;
  /** `host:port`, at least one. */
  bootstrap: readonly string[];
  /** Local topics: names with `*` and `?`. Default all. Topics that begin with `__` are never mirrored. */
  topics?: readonly string[];
  /** The upstream's name of a topic. Default `{node}.{topic}`. */
  rename?: string;
  /** Upstream partition of every local one. Default: the local number. */
  partition?: number;
  /** Default: allowed, with the broker's replication factor and settings. */
  create?: Partial<CreatePolicy>;
  /** Default stop. */
  recreated?: RecreatedPolicy;
  /** Default: plain TCP. */
  tls?: TlsConfig;
  /** Default: no login. */
  sasl?: SaslConfig;
}

export interface MirrorNeeds {
  mirrors: readonly MirrorConfig[];
  log: Log;
  nodeName: string;
  /** Something of this machine that is not on its card: positions of another machine are not trusted. */
  hardwareId?: string;
  clock: Clock;
  trace: Trace;
  /** How to open a socket. Default: as the mirror's `tls` says. */
  connect?: Connect;
  /** Default 20 s. */
  requestTimeoutMs?: number;
  /** How long a copy of a batch may be under way, ms. Default 60 s; only tests have a reason for less. */
  quiesceMs?: number;
  /** What was stamped while nobody knew the time is held back. Default: nothing is. */
  hold?: Hold;
  /** How soon a partition that was refused tries again, ms. Default 60 s. */
  refusedRetryMs?: number;
}

export interface Mirrors {
  status(): MirrorStatus[];
  metrics(): Metric[];
  /** Waits up to 3 s for answers to what is in flight, then ends. On return all positions are on the card. */
  close(): Promise<void>;
}

const BUDGET_BYTES = 4 * 1024 * 1024;
const QUIESCE_MS = 60_000;
const REFUSED_RETRY_MS = 60_000;
const FLUSH_MS = 3_000;

/** Starts all mirrors. Does not wait for any upstream. */
export async function openMirrors(needs: MirrorNeeds): Promise<Mirrors> {
  const mirrors = needs.mirrors.map((config) => openMirror(needs, config));
  return {
    status: () => mirrors.map((mirror) => mirror.status()),
    metrics: () => mirrorMetrics(mirrors.map((mirror) => mirror.status())),
    async close() {
      await Promise.all(mirrors.map((mirror) => mirror.close()));
    },
  };
}

interface Mirror {
  status(): MirrorStatus;
  close(): Promise<void>;
}

function openMirror(needs: MirrorNeeds, config: MirrorConfig): Mirror {
  const { log, clock } = needs;
  const trace = needs.trace.room(`mirror/${config.name}`);
  const refusedRetryMs = needs.refusedRetryMs ?? REFUSED_RETRY_MS;
  const upstream = openUpstream({
    bootstrap: config.bootstrap,
    clientId: `headwater-${needs.nodeName}`,
    clock,
    trace,
    access: { ...createAccess(config, clock), ...(needs.connect === undefined ? {} : { connect: needs.connect }) },
    ...(needs.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: needs.requestTimeoutMs }),
  });
  const create: CreatePolicy = { allowed: true, replicationFactor: -1, configs: {}, ...config.create };
  const topology = openTopology({ upstream, ownClusterId: log.clusterId, create, clock, trace });
  const totals = emptyTotals();
  const shared = {
    positions: log.positions,
    owner: `mirror/${config.name}`,
    upstream,
    topology,
    sender: createSender(upstream, clock),
    producerIds: createProducerIds(upstream),
    budget: createBudget(BUDGET_BYTES),
    totals,
    clock,
    trace,
    recreated: config.recreated ?? 'stop',
    hardwareId: needs.hardwareId,
    quiesceMs: needs.quiesceMs ?? QUIESCE_MS,
    refusedRetryMs,
    hold: needs.hold ?? { leftMs: () => 0, whenKnown: () => Promise.resolve() },
  };
  const streams = new Map<Partition, Stream>();
  const leaving = new Set<Promise<void>>();

  function follow(): void {
    const present = new Set<Partition>();
    for (const topic of log.topics()) {
      if (!isMirrored(config.topics ?? ['*'], topic.name)) continue;
      for (const partition of topic.partitions) {
        present.add(partition);
        if (!streams.has(partition)) streams.set(partition, openFor(partition));
      }
    }
    for (const [partition, stream] of streams) {
      if (present.has(partition)) continue;
      streams.delete(partition);
      const left: Promise<void> = stream.end().finally(() => leaving.delete(left));
      leaving.add(left);
    }
  }

  function openFor(partition: Partition): Stream {
    return openStream({
      ...shared,
      partition,
      upstreamTopic: upstreamName(config.rename ?? '{node}.{topic}', needs.nodeName, partition.topic.name),
      upstreamPartition: config.partition ?? partition.index,
      lost: () => lostOf(log, partition),
    });
  }

  follow();
  const unfollow = log.onTopics(follow);

  function status(): MirrorStatus {
    const partitions = [...streams.values()].map((stream) => stream.status());
    const { lastAckMs } = totals;
    return {
      name: config.name,
      ...stateOf(upstream.state(), partitions),
      bootstrap: config.bootstrap,
      backlog: backlogOf(streams, partitions, clock.wallMs()),
      sent: { records: totals.records, bytes: totals.bytes, batches: totals.batches },
      ...(lastAckMs === undefined ? {} : { lastAckAgoMs: Math.round(clock.monotonicMs() - lastAckMs) }),
      errors: totals.errors,
      reconciliations: totals.reconciliations,
      resentBatches: totals.resentBatches,
      lost: { gapRecords: totals.gapRecords, upstreamRecords: totals.lostRecords },
      partitions,
    };
  }

  return {
    status,
    async close() {
      unfollow();
      const all = [...streams.values()];
      await Promise.race([Promise.all(all.map((stream) => stream.stop())), clock.sleep(FLUSH_MS)]);
      upstream.close();
      await Promise.all([topology.close(), ...all.map((stream) => stream.end()), ...leaving]);
      await Promise.all(all.map((stream) => stream.save()));
    },
  };
}

function lostOf(log: Log, { topic, index }: Partition): LogGap[] {
  return log.losses().gaps.filter((gap) => gap.topic === topic.name && gap.partition === index);
}
