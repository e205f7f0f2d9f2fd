// One partition on its way upstream: one loop, one batch in flight. Each turn does the first of these that is needed:
// wait for records, find the partition upstream, settle what is in doubt, take a producer id, send the next piece.
// Whatever fails is tried again in the next turn; progress.ts holds what is known meanwhile.

import type { Clock } from '../clock.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import { LATEST_TIMESTAMP } from '../formats/kafka/02-list-offsets.ts';
import { KafkaError, nameOfError } from '../formats/kafka/codes.ts';
import { stampProducer, type BatchHeader } from '../formats/batch.ts';
import type { Partition, Positions } from '../log/log.ts';
import type { Trace } from '../trace.ts';
import { createBackoff } from './backoff.ts';
import type { Budget } from './budget.ts';
import { createFeed, type Piece } from './feed.ts';
import { offsetBehind, type Lost } from './counting.ts';
import { outcomeOf, refusalOf } from './outcomes.ts';
import type { ProducerIds } from './producer-ids.ts';
import {
  abandon,
  adopt,
  onAck,
  onAnsweredUnknown,
  onGap,
  onNotAppended,
  onPassed,
  onSend,
  startAt,
} from './progress.ts';
import type { Doubt, Progress } from './progress.ts';
import type { Sender } from './sender.ts';
import { settle } from './settle.ts';
import { encodeState, restoreState, stateOf, type Home } from './stored-state.ts';
import type { RecreatedPolicy, StreamState, StreamStatus, Totals } from './stream-status.ts';
import type { Topology } from './topology.ts';
import type { ProduceResult, Upstream } from './upstream.ts';

export interface StreamNeeds {
  partition: Partition;
  positions: Positions;
  owner: string;
  upstreamTopic: string;
  upstreamPartition: number;
  upstream: Upstream;
  topology: Topology;
  sender: Sender;
  producerIds: ProducerIds;
  budget: Budget;
  totals: Totals;
  clock: Clock;
  trace: Trace;
  recreated: RecreatedPolicy;
  hardwareId: string | undefined;
  quiesceMs: number;
  refusedRetryMs: number;
  hold: Hold;
  /** What is gone of the partition. */
  lost: () => readonly Lost[];
}

/** Batches that were stamped while nobody knows the time wait a while: it may become known. */
export interface Hold {
  /** For how many ms the batch is still to be held back. */
  leftMs(header: BatchHeader): number;
  /** Resolves when the time is known, or `signal` aborts. */
  whenKnown(signal: AbortSignal): Promise<void>;
}

export interface Stream {
  status(): StreamStatus;
  /** Time of the oldest unsent record as far as it is known, ms. */
  oldestMs(): number | undefined;
  /** Sends nothing new; resolves when the batch in flight has its outcome. */
  stop(): Promise<void>;
  /** Resolves when the loop has ended; where it waits for the upstream, the client must be closed first. */
  end(): Promise<void>;
  /** Writes down where it stands; after `end`. */
  save(): Promise<void>;
}

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 10_000;
/** A batch should be worth its round trip: at 4 MiB a second, 4 KiB for each millisecond of it, within these. */
const MERGE_BYTES_PER_MS = 4 * 1024;
const MERGE_BYTES_MIN = 16 * 1024;
const MERGE_BYTES_MAX = 128 * 1024;

/** Starts the loop. */
export function openStream(needs: StreamNeeds): Stream {
  const { partition, clock, topology, upstream, totals } = needs;
  const trace = needs.trace;
  const where = { topic: partition.topic.name, partition: partition.index };
  const stopping = new AbortController();
  const { signal } = stopping;
  const feed = createFeed(partition, needs.budget, (header) => needs.hold.leftMs(header) > 0);
  const backoff = createBackoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS);

  let home: Home | undefined;
  const progress = restore();
  let state: StreamState = 'idle';
  let reason: string | undefined;
  /** Time of the first record that was read and is not upstream, kept when it is not held any more. */
  let oldestMs: number | undefined;
  let sending: Promise<void> | undefined;
  /** The piece in doubt, as it went out. */
  let held: Piece | undefined;
  let isSettled = progress.doubt === undefined;
  /** Where it was settled: another leader may know less. */
  let settledLeader = -1;
  /** True when the card does not know the producer id yet: nothing may be sent under it. */
  let isUnsaved = false;
  let lastSendMs = clock.monotonicMs();
  let mergeBytesMax = MERGE_BYTES_MAX;
  /** A batch that was too large is sent in parts up to its end. */
  let split = { recordsMax: Infinity, untilOffset: 0 };

  function restore(): Progress {
    const position = needs.positions.get(needs.owner, partition);
    if (position === undefined) return startAt(partition.logStart);
    const stored = stateOf(position);
    home = stored?.home;
    if (position.offset > Math.max(partition.highWatermark, partition.resumeOffset)) {
      trace.error('position lies behind the end of the log', { ...where, offset: position.offset });
      return startAt(partition.highWatermark);
    }
    const isOther = stored?.hardwareId !== needs.hardwareId && stored?.hardwareId !== undefined;
    if (!isOther || needs.hardwareId === undefined) return restoreState(position, partition.highWatermark);
    if (!stored.clean)
      trace.warn('this card comes from another machine: what was in flight there may arrive twice', where);
    return startAt(position.offset);
  }

  function become(next: StreamState, why?: string): void {
    state = next;
    reason = why;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await turn();
      } catch (error) {
        if (!signal.aborted) await onError(error);
      }
    }
  }

  async function turn(): Promise<void> {
    if (held === undefined && (!(await fill()) || (await isHeldBack()))) return;
    const route = await routed();
    if (route === undefined || !(await isAtHome(route))) return;
    if (!isSettled || (progress.doubt !== undefined && settledLeader !== route.leader)) {
      await settleDoubt(route.leader);
      return;
    }
    if (progress.producerId < 0) await takeProducerId(route.leader);
    if (isUnsaved) await save(true);
    isUnsaved = false;
    const piece = held ?? nextPiece(route.leader);
    if (piece === undefined) return;
    // What throws here was not sent, and leaves no doubt.
    await upstream.connect(route.leader);
    if (signal.aborted) return;
    const outcome = send(piece, route.leader);
    sending = outcome.catch(() => undefined);
    await outcome;
  }

  /** False when there was nothing to read; it has waited then. */
  async function fill(): Promise<boolean> {
    if (partition.lastStableOffset <= progress.offset) {
      feed.drop();
      oldestMs = undefined;
      become('idle');
      await partition.waitBeyond(progress.offset, signal);
      return false;
    }
    const first = await firstHeld();
    if (first === undefined) return false;
    if (first <= progress.offset) return true;
    await skipTo(first);
    return false;
  }

  /** Whether what comes next is not to be sent yet; it has waited then. */
  async function isHeldBack(): Promise<boolean> {
    const first = feed.first();
    const leftMs = first === undefined ? 0 : needs.hold.leftMs(first);
    if (leftMs <= 0) return false;
    // It is read again with its right times, if they become known.
    feed.drop();
    become('held', 'the clock is not set yet: records wait for their right times, clock.hold at most');
    const over = new AbortController();
    const isOver = AbortSignal.any([signal, over.signal]);
    await Promise.race([needs.hold.whenKnown(isOver), clock.sleep(leftMs, isOver)]);
    over.abort();
    return true;
  }

  /** Where what is held begins: behind the position if records are gone. */
  async function firstHeld(): Promise<number | undefined> {
    try {
      const isHeld = await feed.fill(progress.offset, signal);
      oldestMs = feed.oldestMs();
      return isHeld ? feed.firstOffset() : undefined;
    } catch (error) {
      const isRemoved = isHeadwaterError(error, 'OFFSET_OUT_OF_RANGE') && partition.logStart > progress.offset;
      if (!isRemoved) throw error;
      return partition.logStart;
    }
  }

  async function skipTo(offset: number): Promise<void> {
    const records = offset - progress.offset;
    totals.gapRecords += records;
    trace.error('records were gone before they were sent', { ...where, from: progress.offset, records });
    onGap(progress, offset);
    isSettled = true;
    await save(true);
  }

  /** Undefined when the partition can't be reached at present; it has waited then. */
  async function routed(): Promise<{ leader: number; clusterId: string; topicId: string } | undefined> {
    const route = topology.route(needs.upstreamTopic, needs.upstreamPartition);
    if (route !== undefined && 'leader' in route) return route;
    if (route === undefined || route.isTemporary) {
      become('waiting', route?.problem);
      makeRoom();
      if (route !== undefined) topology.refresh();
      await topology.changed(signal);
    } else {
      letGo();
      become('refused', route.problem);
      await lookAgain();
    }
    return undefined;
  }

  /** Waits for news of the upstream, and asks for them itself after a while. */
  async function lookAgain(): Promise<void> {
    const timer = clock.after(spread(needs.refusedRetryMs), () => topology.refresh());
    await topology.changed(signal);
    timer.cancel();
  }

  /** Whether the topic upstream is the one that this position belongs to. */
  async function isAtHome(route: { clusterId: string; topicId: string }): Promise<boolean> {
    const { clusterId, topicId } = route;
    const found = { clusterId, topicId, topic: needs.upstreamTopic, partition: needs.upstreamPartition };
    const known = home;
    if (known === undefined || isSame(known, found)) {
      home = known ?? found;
      return true;
    }
    const isRenamed = known.topic !== found.topic || known.partition !== found.partition;
    if (!isRenamed && needs.recreated === 'stop') {
      const what = known.clusterId === clusterId ? 'was made anew' : 'is in another cluster';
      letGo();
      become('stopped', `upstream topic ${what}: set recreated to continue or restart, or give the mirror a new name`);
      await lookAgain();
      return false;
    }
    trace.warn('goes on with another upstream topic', { ...where, from: known.topic, to: found.topic });
    home = found;
    held = undefined;
    abandon(progress);
    isSettled = true;
    if (!isRenamed && needs.recreated === 'restart') progress.offset = partition.logStart;
    feed.drop();
    return false;
  }

  async function settleDoubt(leader: number): Promise<void> {
    become('settling');
    totals.reconciliations += 1;
    const { lostRecords, isForeign } = await settle({
      upstream,
      progress,
      place: { leader, topic: needs.upstreamTopic, partition: needs.upstreamPartition },
      logStart: partition.logStart,
      offsetBehind: (count) => offsetBehind(partition, progress.offset, count, needs.lost()),
      clock,
      trace,
      signal,
      strayUntilMs: lastSendMs + needs.quiesceMs,
      onWait: (why) => become('settling', why),
    });
    totals.lostRecords += lostRecords;
    if (isForeign) totals.errors += 1;
    isSettled = true;
    settledLeader = leader;
    // What is in doubt no more is not sent again.
    if (progress.doubt === undefined || held?.firstOffset !== progress.offset) held = undefined;
    feed.settle(progress.offset);
    await save(false);
  }

  async function takeProducerId(leader: number): Promise<void> {
    const { upstreamTopic, upstreamPartition } = needs;
    const { producerId, producerEpoch } = await needs.producerIds.take(upstreamTopic, upstreamPartition);
    const { errorCode, value } = await upstream.offsetAt(leader, upstreamTopic, upstreamPartition, LATEST_TIMESTAMP);
    if (errorCode !== KafkaError.NONE) throw refusalOf(errorCode, 'may not ask for its end');
    adopt(progress, producerId, producerEpoch, value);
    isUnsaved = true;
  }

  /** Undefined when what comes next is no data. */
  function nextPiece(leader: number): Piece | undefined {
    if (progress.offset >= split.untilOffset) split = { recordsMax: Infinity, untilOffset: 0 };
    const worth = Math.max(MERGE_BYTES_MIN, needs.sender.latencyMs(leader) * MERGE_BYTES_PER_MS);
    const piece = feed.cut(progress.offset, {
      mergeBytes: Math.min(worth, mergeBytesMax),
      recordsMax: split.recordsMax,
    });
    if (typeof piece !== 'number') return piece;
    onPassed(progress, piece);
    save(false).catch((error: unknown) => trace.limited('position was not kept', { why: messageOf(error) }));
    return undefined;
  }

  async function send(piece: Piece, leader: number): Promise<void> {
    become('streaming');
    const before = progress.doubt;
    if (before !== undefined) totals.resentBatches += 1;
    const { producerId, producerEpoch, sequence } = progress;
    const batch = stampProducer(piece.batch, { producerId, producerEpoch, baseSequence: sequence });
    onSend(progress, piece.count);
    held = piece;
    lastSendMs = clock.monotonicMs();
    isSettled = false;
    const entry = { topic: needs.upstreamTopic, partition: needs.upstreamPartition, batch };
    const result = await needs.sender.send(leader, entry);
    await onResult(piece, before, batch.length, result);
  }

  async function onResult(
    piece: Piece,
    before: Doubt | undefined,
    bytes: number,
    result: ProduceResult,
  ): Promise<void> {
    const { errorCode, baseOffset } = result;
    const why = `${nameOfError(errorCode)}${result.message === undefined ? '' : `: ${result.message}`}`;
    switch (outcomeOf(errorCode)) {
      case 'acked':
        onAcked(piece, bytes, baseOffset);
        return;
      case 'tooLarge':
        notAppended(before);
        await makeSmaller(piece, bytes, why);
        return;
      case 'refused':
        notAppended(before);
        await refuse(why);
        return;
      case 'later':
        notAppended(before);
        await pause(why);
        return;
      case 'unknown':
        onAnsweredUnknown(progress, before);
        topology.refresh();
        await pause(why);
    }
  }

  function notAppended(before: Doubt | undefined): void {
    onNotAppended(progress, before);
    isSettled = true;
  }

  function onAcked(piece: Piece, bytes: number, baseOffset: number): void {
    onAck(progress, piece.count, piece.nextOffset, baseOffset < 0 ? -1 : baseOffset + piece.count);
    held = undefined;
    isSettled = true;
    backoff.reset();
    feed.settle(progress.offset);
    totals.records += piece.count;
    totals.bytes += bytes;
    totals.batches += 1;
    totals.lastAckMs = clock.monotonicMs();
    save(false).catch((error: unknown) => trace.limited('position was not kept', { why: messageOf(error) }));
  }

  async function makeSmaller(piece: Piece, bytes: number, why: string): Promise<void> {
    if (piece.count === 1) {
      await refuse(`message too large (offset ${piece.firstOffset}, ${bytes} bytes): ${why}`);
      return;
    }
    letGo();
    mergeBytesMax = Math.min(mergeBytesMax, Math.floor(bytes / 2));
    const untilOffset = Math.max(split.untilOffset, piece.nextOffset);
    split = { recordsMax: Math.ceil(piece.count / 2), untilOffset };
    trace.debug('batch is too large upstream', { ...where, offset: piece.firstOffset, bytes });
  }

  /** Holds nothing while it can't go on: others need the room. The log has it all. */
  function letGo(): void {
    held = undefined;
    feed.drop();
    if (progress.doubt === undefined) return;
    progress.doubt.isWhole = false;
    isSettled = false;
  }

  /** While it waits for the upstream it keeps what it holds, unless another partition needs the room. */
  function makeRoom(): void {
    if (needs.budget.isShort) letGo();
  }

  async function refuse(why: string): Promise<void> {
    letGo();
    totals.errors += 1;
    if (reason !== why) trace.warn('upstream refuses a partition', { ...where, why });
    become('refused', why);
    await clock.sleep(spread(needs.refusedRetryMs), signal);
  }

  async function pause(why: string): Promise<void> {
    totals.errors += 1;
    trace.limited('upstream did not take a batch', { ...where, why });
    become('waiting', why);
    makeRoom();
    await clock.sleep(backoff.nextMs(), signal);
  }

  async function onError(error: unknown): Promise<void> {
    const why = messageOf(error);
    if (isHeadwaterError(error, 'UPSTREAM_REFUSED')) {
      await refuse(why);
      return;
    }
    totals.errors += 1;
    become('waiting', why);
    if (!isHeadwaterError(error)) trace.error('mirroring failed', { ...where, why });
    makeRoom();
    topology.refresh();
    await clock.sleep(backoff.nextMs(), signal);
  }

  function save(durable: boolean, isFinal = false): Promise<void> {
    if (home === undefined) return Promise.resolve();
    const position = encodeState(progress, home, needs.hardwareId, isFinal);
    return needs.positions.set(needs.owner, partition, position, durable);
  }

  needs.positions.pin(needs.owner, partition);
  topology.want(needs.upstreamTopic, Math.max(partition.topic.partitions.length, needs.upstreamPartition + 1));
  const ended = run();

  return {
    status() {
      const { upstreamTopic, upstreamPartition } = needs;
      const end = partition.highWatermark;
      const known = { ...where, upstreamTopic, upstreamPartition, state, position: progress.offset, end };
      return reason === undefined ? known : { ...known, reason };
    },
    oldestMs: () => (partition.highWatermark > progress.offset ? oldestMs : undefined),
    async stop() {
      stopping.abort();
      await sending;
    },
    async end() {
      stopping.abort();
      await ended;
      feed.drop();
    },
    save: () => save(true, true),
  };
}

/** Some more or less, so that partitions do not come back all at once. */
function spread(delayMs: number): number {
  return delayMs * (0.8 + Math.random() * 0.4);
}

function isSame(known: Home, found: Home): boolean {
  const isSameId = known.topicId === '' || found.topicId === '' || known.topicId === found.topicId;
  return (
    isSameId &&
    known.clusterId === found.clusterId &&
    known.topic === found.topic &&
    known.partition === found.partition
  );
}
