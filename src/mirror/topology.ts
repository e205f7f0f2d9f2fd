// What the upstream cluster looks like for the topics a mirror feeds: their ids and leaders, asked again every few
// minutes, and soon when somebody finds it outdated. Creates the topics that are missing, where that is allowed.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { KafkaError, nameOfError } from '../formats/kafka/codes.ts';
import type { Trace } from '../trace.ts';
import { createBackoff } from './backoff.ts';
import type { ClusterView, NewTopic, Upstream, UpstreamTopic } from './upstream.ts';

export interface CreatePolicy {
  allowed: boolean;
  /** -1: the broker's default. */
  replicationFactor: number;
  configs: Readonly<Record<string, string>>;
}

/** Where a partition is upstream; `problem`: why it is nowhere at present. */
export type Route = { leader: number; clusterId: string; topicId: string } | { problem: string; isTemporary: boolean };

export interface Topology {
  /** Says that `topic` is needed, with `partitions` of them when it has to be made. */
  want(topic: string, partitions: number): void;
  /** Undefined while nothing is known yet. */
  route(topic: string, partition: number): Route | undefined;
  /** Asks the upstream again soon. */
  refresh(): void;
  /** Resolves after the next answer of the upstream, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void>;
  /** Resolves when the loop has ended; the upstream client must be closed first. */
  close(): Promise<void>;
}

export interface TopologyNeeds {
  upstream: Upstream;
  /** This node's own, as its door for Kafka clients tells it: an upstream of that id is the node itself. */
  ownClusterId: string;
  create: CreatePolicy;
  clock: Clock;
  trace: Trace;
}

/** Mirrored to itself a topic would become another topic here, and that one another, for ever. */
const ITSELF = 'the upstream is this node itself: bootstrap must name another cluster, not kafka.listen of this one';
const AGE_MS_MAX = 300_000;
const REFRESH_FIRST_MS = 100;
const REFRESH_MAX_MS = 5_000;
/** Every refresh counts as eager that comes sooner than this after another. */
const CALM_MS = 30_000;

/** Starts to ask the upstream, for ever until closed. */
export function openTopology(needs: TopologyNeeds): Topology {
  const { upstream, ownClusterId, clock, trace } = needs;
  const wanted = new Map<string, number>();
  const problems = new Map<string, string>();
  const waiters = new Set<() => void>();
  const backoff = createBackoff(REFRESH_FIRST_MS, REFRESH_MAX_MS);
  const closing = new AbortController();
  let view: ClusterView | undefined;
  let asked = new AbortController();

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      asked = new AbortController();
      // The client paces its own attempts to connect, so that asking again at once is no busy loop.
      if (!(await look())) continue;
      const startMs = clock.monotonicMs();
      for (const resolve of waiters) resolve();
      await clock.sleep(AGE_MS_MAX * (0.8 + Math.random() * 0.2), AbortSignal.any([asked.signal, closing.signal]));
      if (clock.monotonicMs() - startMs > CALM_MS) backoff.reset();
      else await clock.sleep(backoff.nextMs(), closing.signal);
    }
  }

  async function look(): Promise<boolean> {
    try {
      const names = [...wanted.keys()];
      const found = await upstream.metadata(names);
      problems.clear();
      const missing = names.filter((name) => isMissing(found.topics.get(name)));
      const isForeign = found.clusterId !== ownClusterId;
      const created = isForeign && missing.length > 0 && (await create(missing, found.controllerId));
      view = created ? await upstream.metadata(names) : found;
      if (created) asked.abort();
      return true;
    } catch (error) {
      if (!closing.signal.aborted) trace.debug('metadata failed', { why: messageOf(error) });
      // A request that was answered badly on a good connection must not be repeated at once.
      if (upstream.state().isUp) await clock.sleep(backoff.nextMs(), closing.signal);
      return false;
    }
  }

  /** True when something was made. Why a topic was not is kept as its problem. */
  async function create(missing: readonly string[], controllerId: number): Promise<boolean> {
    if (!needs.create.allowed) {
      for (const name of missing) problems.set(name, 'topic does not exist upstream and may not be created');
      return false;
    }
    const { replicationFactor, configs } = needs.create;
    const topics = missing.map((name): NewTopic => ({
      name,
      partitions: wanted.get(name)!,
      replicationFactor,
      configs,
    }));
    let isMade = false;
    for (const [name, { errorCode, message }] of await upstream.createTopics(topics, controllerId)) {
      if (errorCode === KafkaError.NONE || errorCode === KafkaError.TOPIC_ALREADY_EXISTS) {
        isMade = true;
        if (errorCode === KafkaError.NONE) trace.info('created upstream topic', { topic: name });
        continue;
      }
      problems.set(name, `topic can't be created: ${message ?? ''} ${nameOfError(errorCode)}`.replace('  ', ' '));
      trace.limited('upstream topic was not created', { topic: name, why: problems.get(name) });
    }
    return isMade;
  }

  const ended = run();

  return {
    want(topic, partitions) {
      if (wanted.get(topic) === partitions) return;
      wanted.set(topic, Math.max(partitions, wanted.get(topic) ?? 0));
      asked.abort();
    },
    route(topic, partition) {
      const problem = view?.clusterId === ownClusterId ? ITSELF : problems.get(topic);
      if (problem !== undefined) return { problem, isTemporary: false };
      const found = view?.topics.get(topic);
      return view === undefined || found === undefined ? undefined : routeOf(view, found, partition);
    },
    refresh: () => asked.abort(),
    changed: (signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          waiters.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        waiters.add(done);
        if (signal.aborted) done();
        else signal.addEventListener('abort', done, { once: true });
      }),
    async close() {
      closing.abort();
      await ended;
    },
  };
}

function isMissing(topic: UpstreamTopic | undefined): boolean {
  return topic === undefined || topic.errorCode === KafkaError.UNKNOWN_TOPIC_OR_PARTITION;
}

function routeOf(view: ClusterView, topic: UpstreamTopic, partition: number): Route {
  const { errorCode, leaders, topicId } = topic;
  if (errorCode !== KafkaError.NONE) {
    const isTemporary = errorCode === KafkaError.LEADER_NOT_AVAILABLE || isMissing(topic);
    return { problem: `upstream says ${nameOfError(errorCode)}`, isTemporary };
  }
  const leader = leaders.get(partition);
  if (leader === undefined) {
    return { problem: `upstream topic has ${leaders.size} partitions, none is ${partition}`, isTemporary: false };
  }
  if (leader < 0) return { problem: 'upstream partition has no leader', isTemporary: true };
  return { leader, clusterId: view.clusterId, topicId };
}
