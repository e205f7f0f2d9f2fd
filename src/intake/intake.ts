// The intake: the door-neutral way of one record into the log. It finds topic, key and partition, adds the record to
// the partition's open batch, and hands back the commit to wait for. Records that wait together share one batch and one
// Commit object; there is no promise per record. Order within a partition is the order of the calls.

import type { Clock, ClockDoubt } from '../clock.ts';
import type { RecordHeader } from '../formats/batch.ts';
import type { Commit, Log } from '../log/log.ts';
import { counter, type Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { createGathering, type Feeder } from './gathering.ts';
import { DEFAULT_RULES, parseRoute, targetOf, type RouteRule, type Target } from './routes.ts';

export interface IntakeRecord {
  topic: string;
  /** Fixed partition; without it murmur2(key) decides as in Kafka's Java client, and a null key goes to partition 0. */
  partition?: number;
  key: Buffer | null;
  value: Buffer | null;
  headers?: RecordHeader[];
  /** By this house's clock; arrival by default. */
  timestampMs?: number;
  /** The timestamp is by another clock, as that of a device: it is kept as it is, whatever becomes known of ours. */
  isTimeGiven?: boolean;
  /** Clock.doubt at the moment of the timestamp, for what may wait before it is handed in. */
  doubt?: ClockDoubt | undefined;
  /** The door that hands it in, for the metrics: a few fixed words. Default `other`. */
  door?: string;
}

export interface Intake {
  /**
   * Takes one MQTT message by the routes. Undefined: no rule takes it, and no mark was set. The payload is copied before
   * the call returns. `marks` are kept atomically with the record. Throws TOPIC_INVALID, RECORD_TOO_LARGE,
   * LOG_CLOSED, and LOG_FULL if isFull() was ignored for long.
   */
  acceptMqtt(mqttTopic: string, payload: Buffer, marks?: [key: string, value: Buffer | null][]): Commit | undefined;
  /** Takes one record for a topic of the log. Copied before the call returns. Throws as acceptMqtt. */
  accept(record: IntakeRecord, marks?: [key: string, value: Buffer | null][]): Commit;
  /**
   * True while too much waits for its commit or the card refuses writes: stop reading your socket or port until
   * whenRoom() resolves. What was read before may still be handed in, it is taken far beyond that bound.
   */
  isFull(): boolean;
  /** See Log.refusal: who may answer so tells the publisher, and who may not holds back. */
  refusal(): string | undefined;
  /** Resolves when isFull() is false, or `signal` aborts. */
  whenRoom(signal?: AbortSignal): Promise<void>;
  /** See Log.lull. */
  lull(msMax: number): number;
}

export interface IntakeLimits {
  /** Bound of one batch before compression, and so of one record. Default 1 MiB less 1 KiB: Kafka's own default bound
   * for a batch is 1 MiB, and a batch goes upstream as it is. */
  batchBytesMax?: number;
  /** How many MQTT topics are remembered with their targets, twice at most. Others are matched each time. Default 4096. */
  cachedTopicsMax?: number;
  /** No topic is made here when the log has this many: an MQTT client can name topics by a rule's wildcard. Default 1024. */
  topicsMax?: number;
}

export interface IntakeNeeds {
  log: Log;
  /** In order; the first that matches takes a message. Empty: everything goes to topic `mqtt`. */
  routes: readonly RouteRule[];
  nodeName: string;
  clock: Clock;
  trace: Trace;
  limits?: IntakeLimits;
}

export interface IntakeStatus {
  records: number;
  bytes: number;
  /** MQTT messages that no rule took. */
  unrouted: number;
}

export interface IntakeRoom extends Intake {
  status(): IntakeStatus;
  metrics(): Metric[];
  /** Stops listening to the log. What was accepted is the log's to commit. */
  close(): void;
}

/** A target with its bytes made ready and its partition found. */
interface Way {
  target: Target;
  key: Buffer;
  headers: RecordHeader[];
  feeder: Feeder | undefined;
}

interface Count {
  records: number;
  bytes: number;
}

type Marks = [key: string, value: Buffer | null][];

// A topic beyond this is matched each time rather than remembered, so that the cache is bounded in bytes too.
const CACHED_TOPIC_LENGTH_MAX = 512;
const NO_HEADERS: RecordHeader[] = [];

/** Throws CONFIG_INVALID for the first rule that is wrong. */
export function openIntake(needs: IntakeNeeds): IntakeRoom {
  const { log, clock, nodeName } = needs;
  const trace = needs.trace.room('intake');
  const routes = (needs.routes.length === 0 ? DEFAULT_RULES : needs.routes).map(parseRoute);
  const ways = createRecent<Way | null>(needs.limits?.cachedTopicsMax ?? 4096);
  const gathering = createGathering({
    log,
    clock,
    batchBytesMax: needs.limits?.batchBytesMax ?? 1024 * 1024 - 1024,
    topicsMax: needs.limits?.topicsMax ?? 1024,
  });
  const stopListening = log.onTopics(() => {
    if (gathering.prune()) ways.clear();
  });
  const counts = new Map<string, Count>();
  const mqttCount = countOf('mqtt');
  let unrouted = 0;

  function acceptMqtt(mqttTopic: string, payload: Buffer, marks?: Marks): Commit | undefined {
    let way = ways.get(mqttTopic);
    if (way === undefined) way = findWay(mqttTopic);
    if (way === null) {
      unrouted += 1;
      return undefined;
    }
    // Found once a topic: a rule's topic may not exist yet, or have been deleted since.
    way.feeder ??= gathering.feeder(way.target.topic, way.target.partition, way.key);
    return add(way.feeder, clock.wallMs(), true, way.key, payload, way.headers, marks, mqttCount);
  }

  function accept(record: IntakeRecord, marks?: Marks): Commit {
    const feeder = gathering.feeder(record.topic, record.partition, record.key);
    const timestampMs = settled(record.timestampMs ?? clock.wallMs(), record.doubt);
    const headers = record.headers ?? NO_HEADERS;
    const isStamped = record.isTimeGiven !== true;
    const count = countOf(record.door ?? 'other');
    return add(feeder, timestampMs, isStamped, record.key, record.value, headers, marks, count);
  }

  /** A time that was taken while nobody knew the time, which somebody knows by now. */
  function settled(timestampMs: number, doubt: ClockDoubt | undefined): number {
    return doubt !== undefined && clock.doubt === undefined ? timestampMs + (doubt.shiftMs ?? 0) : timestampMs;
  }

  function add(
    feeder: Feeder,
    timestampMs: number,
    isStamped: boolean,
    key: Buffer | null,
    value: Buffer | null,
    headers: RecordHeader[],
    marks: Marks | undefined,
    count: Count,
  ): Commit {
    const commit = gathering.add(feeder, timestampMs, isStamped, key, value, headers);
    if (marks !== undefined) {
      const { durability } = feeder.partition.topic.settings;
      for (const [name, mark] of marks) log.mark(name, mark, durability);
    }
    count.records += 1;
    count.bytes += (key?.length ?? 0) + (value?.length ?? 0);
    return commit;
  }

  function findWay(mqttTopic: string): Way | null {
    const target = targetOf(routes, mqttTopic, nodeName);
    if (target === undefined) trace.limited('no route takes this MQTT topic', { mqttTopic });
    const way = target === undefined ? null : wayOf(target);
    if (mqttTopic.length <= CACHED_TOPIC_LENGTH_MAX) ways.set(mqttTopic, way);
    return way;
  }

  function countOf(door: string): Count {
    let count = counts.get(door);
    if (count === undefined) counts.set(door, (count = { records: 0, bytes: 0 }));
    return count;
  }

  return {
    acceptMqtt,
    accept,
    isFull: () => log.isFull(),
    refusal: () => log.refusal(),
    whenRoom: (signal) => log.whenRoom(signal),
    lull: (msMax) => log.lull(msMax),
    status() {
      const all = [...counts.values()];
      const records = all.reduce((sum, count) => sum + count.records, 0);
      const bytes = all.reduce((sum, count) => sum + count.bytes, 0);
      return { records, bytes, unrouted };
    },
    metrics: () => metricsOf(counts, unrouted),
    close: stopListening,
  };
}

function wayOf(target: Target): Way {
  const headers = target.headers.map(([key, value]): RecordHeader => ({ key, value: Buffer.from(value) }));
  return { target, key: Buffer.from(target.key), headers, feeder: undefined };
}

function metricsOf(counts: Map<string, Count>, unrouted: number): Metric[] {
  const doors = [...counts];
  const records = doors.map(([door, count]) => ({ labels: { door }, value: count.records }));
  const bytes = doors.map(([door, count]) => ({ labels: { door }, value: count.bytes }));
  return [
    counter('intake_records_total', 'Records taken in, by door.', records),
    counter('intake_bytes_total', 'Bytes of keys and values taken in, by door.', bytes),
    counter('intake_unrouted_total', 'MQTT messages that no route took.', unrouted),
  ];
}

/** A map of what was used recently: two generations of at most `size` each, the older one forgotten when one is full. */
function createRecent<Value>(size: number) {
  let young = new Map<string, Value>();
  let old = new Map<string, Value>();
  function set(key: string, value: Value): void {
    if (young.size >= size) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  }
  return {
    set,
    get(key: string): Value | undefined {
      const value = young.get(key);
      if (value !== undefined) return value;
      const older = old.get(key);
      if (older !== undefined) set(key, older);
      return older;
    },
    clear(): void {
      young = new Map();
      old = new Map();
    },
  };
}
