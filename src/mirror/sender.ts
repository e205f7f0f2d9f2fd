// One queue a leader: batches of many partitions go out together in one request, as many as are ready when it leaves.
// Requests are sized by what the link passes in about two seconds, so that a slow link is not filled with one request
// that times out.

import type { Clock } from '../clock.ts';
import type { ProduceEntry, ProduceResult, Upstream } from './upstream.ts';

export interface Sender {
  /**
   * Sends one batch with whatever else goes to that leader, and gives the broker's answer. Throws when no answer came:
   * then it may or may not lie upstream.
   */
  send(leader: number, entry: ProduceEntry): Promise<ProduceResult>;
  /** How long that leader takes to answer at its best, ms, as of late. 0 while not known. */
  latencyMs(leader: number): number;
}

interface Waiting {
  entry: ProduceEntry;
  resolve: (result: ProduceResult) => void;
  reject: (error: unknown) => void;
}

interface Lane {
  waiting: Waiting[];
  inFlight: number;
  isScheduled: boolean;
  latencyMs: number;
  requestBytesMax: number;
}

const REQUESTS_IN_FLIGHT_MAX = 2;
const REQUEST_BYTES_FIRST = 256 * 1024;
const REQUEST_BYTES_MIN = 16 * 1024;
const REQUEST_BYTES_MAX = 1024 * 1024;
/** So it takes some 35 requests to believe in twice the latency. */
const LATENCY_GROWTH = 1.02;
const FAST_MS = 1_000;
const SLOW_MS = 4_000;

export function createSender(upstream: Upstream, clock: Clock): Sender {
  const lanes = new Map<number, Lane>();

  function laneOf(leader: number): Lane {
    let lane = lanes.get(leader);
    if (lane === undefined) {
      lane = { waiting: [], inFlight: 0, isScheduled: false, latencyMs: 0, requestBytesMax: REQUEST_BYTES_FIRST };
      lanes.set(leader, lane);
    }
    return lane;
  }

  /** In the next turn, so that all partitions that became ready in this one go along. */
  function schedule(leader: number, lane: Lane): void {
    if (lane.isScheduled) return;
    lane.isScheduled = true;
    setImmediate(() => {
      lane.isScheduled = false;
      while (lane.waiting.length > 0 && lane.inFlight < REQUESTS_IN_FLIGHT_MAX) void request(leader, lane);
    });
  }

  async function request(leader: number, lane: Lane): Promise<void> {
    const taken = takeRequest(lane);
    const startMs = clock.monotonicMs();
    lane.inFlight += 1;
    try {
      const results = await upstream.produce(
        leader,
        taken.map(({ entry }) => entry),
      );
      adapt(lane, clock.monotonicMs() - startMs, taken);
      for (const [index, { resolve }] of taken.entries()) resolve(results[index]!);
    } catch (error) {
      lane.requestBytesMax = Math.max(REQUEST_BYTES_MIN, lane.requestBytesMax / 2);
      for (const { reject } of taken) reject(error);
    } finally {
      lane.inFlight -= 1;
      if (lane.waiting.length > 0) schedule(leader, lane);
    }
  }

  return {
    send(leader, entry) {
      const lane = laneOf(leader);
      return new Promise((resolve, reject) => {
        lane.waiting.push({ entry, resolve, reject });
        if (lane.inFlight < REQUESTS_IN_FLIGHT_MAX) schedule(leader, lane);
      });
    },
    latencyMs: (leader) => lanes.get(leader)?.latencyMs ?? 0,
  };
}

/**
 * The first that wait, up to the request's size but at least one. A request has one batch for each partition: of two
 * the broker takes one and answers as if for both. A second one, of another source, waits for the next request.
 */
function takeRequest(lane: Lane): Waiting[] {
  const taken: Waiting[] = [];
  const left: Waiting[] = [];
  const partitions = new Set<string>();
  let bytes = 0;
  for (const waiting of lane.waiting) {
    const { topic, partition, batch } = waiting.entry;
    const key = `${partition}/${topic}`;
    const fits = taken.length === 0 || bytes + batch.length <= lane.requestBytesMax;
    if (!fits || partitions.has(key)) {
      left.push(waiting);
      continue;
    }
    partitions.add(key);
    taken.push(waiting);
    bytes += batch.length;
  }
  lane.waiting = left;
  return taken;
}

function adapt(lane: Lane, elapsedMs: number, taken: readonly Waiting[]): void {
  // The shortest of late: what the way takes, without what a full request or a busy broker adds.
  lane.latencyMs = lane.latencyMs === 0 ? elapsedMs : Math.min(elapsedMs, lane.latencyMs * LATENCY_GROWTH);
  const bytes = taken.reduce((sum, { entry }) => sum + entry.batch.length, 0);
  if (elapsedMs > SLOW_MS) lane.requestBytesMax = Math.max(REQUEST_BYTES_MIN, lane.requestBytesMax / 2);
  else if (elapsedMs < FAST_MS && bytes > lane.requestBytesMax / 2) {
    lane.requestBytesMax = Math.min(REQUEST_BYTES_MAX, lane.requestBytesMax * 2);
  }
}
