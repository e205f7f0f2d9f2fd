// Fetch. Served: 4 to 17.
//
//   4   isolation level, last stable offset    12  flexible
//   5   log start                              13  topics by id, UNKNOWN_TOPIC_ID
//   7   sessions                               15  replicas say who they are in a tagged field
//   9   leader epoch of the client             16  where other leaders are (there are none)
//   11  rack                                   17  directory of a replica
//
// Long poll: the answer waits until min_bytes can be read or max_wait_ms is over, woken by commits, not by polling. An
// error in any partition answers at once.
//
// Sessions (KIP-227) are never made: the answer says session 0, and every client goes on with full requests, as it does
// with a broker whose cache of sessions is full. A session would save a few hundred bytes a poll, and cost memory for each
// of a hundred consumers that come and go. One that a client believes in is FETCH_SESSION_ID_NOT_FOUND. A full answer
// has to hold each requested partition and no other, or the Java client throws it away.
//
// A reader of committed records gets the stored batches up to the last stable offset, those of aborted transactions and the
// markers among them, and a list of what was aborted: it leaves that out by itself. Its answer waits for the end of
// transactions as for records.

import { nextOffsetOf, readBatchHeader } from '../../formats/batch.ts';
import { KafkaError } from '../../formats/kafka/codes.ts';
import { fetch } from '../../formats/kafka/01-fetch.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Partition, Topic } from '../../log/log.ts';
import type { Loan } from '../answer-memory.ts';
import { outcomeOf } from '../codes.ts';
import type { Ahead, Place } from '../read-ahead.ts';
import { defineHandler, LEADER_EPOCH, topicMeant, type Call } from '../handler.ts';

type Request = RequestOf<typeof fetch>;
type TopicRequest = Request['topics'][number];
type PartitionRequest = TopicRequest['partitions'][number];
type TopicResponse = ResponseDraft<typeof fetch>['responses'][number];
type PartitionResponse = TopicResponse['partitions'][number];

const SESSION_START = 0;
const SESSION_END = -1;
const READ_COMMITTED = 1;
const BY_ID_FROM = 13;
const WAIT_MAX_MS = 10 * 60_000;
/** An answer of so much, which yet leaves records behind, is one to a consumer that catches up. */
const CATCHING_UP_BYTES = 128 * 1024;
/** Commits share the threads that read. */
const AT_ONCE_MAX = 8;
const READ_BYTES_MIN = 64 * 1024;

export const fetchHandler = defineHandler(fetch, answer);

async function answer(request: Request, call: Call): Promise<ResponseDraft<typeof fetch>> {
  if (request.sessionEpoch !== SESSION_START && request.sessionEpoch !== SESSION_END) {
    return { errorCode: KafkaError.FETCH_SESSION_ID_NOT_FOUND, responses: [] };
  }
  const { clock, counters } = call.door;
  const deadlineMs = clock.monotonicMs() + Math.min(Math.max(request.maxWaitMs, 0), WAIT_MAX_MS);
  const bytesMin = Math.min(request.minBytes, allowance(request, call));
  let ahead = call.readAhead.take();
  if (ahead !== undefined) call.memory.with(ahead.drop);
  for (;;) {
    const topics = meant(request, call);
    const growth = new Growth(topics, request.isolationLevel === READ_COMMITTED);
    const pass = new ReadingPass(request, allowance(request, call), call, ahead);
    const responses = await pass.run(topics);
    const leftMs = deadlineMs - clock.monotonicMs();
    if (pass.bytes >= bytesMin || pass.hasErrors || growth.isNothing || leftMs <= 0 || call.signal.aborted) {
      counters.fetched.records += pass.records;
      counters.fetched.bytes += pass.bytes;
      call.readAhead.begin(pass.bytes < CATCHING_UP_BYTES ? [] : pass.nextPlaces(allowance(request, call)));
      return { responses };
    }
    // What was read is read again.
    call.memory.giveBack();
    if (ahead !== undefined) {
      // It was read a while ago, and there may be enough by now.
      ahead = undefined;
      continue;
    }
    await growth.wait(bytesMin - pass.bytes, leftMs, call);
  }
}

interface Meant {
  wanted: TopicRequest;
  topic: Topic | undefined;
}

/** The topics of a request; looked for before each reading, as they come and go while an answer waits. */
function meant({ topics }: Request, { door, version }: Call): Meant[] {
  return topics.map((wanted) => {
    const { topic: name, topicId } = wanted;
    return { wanted, topic: topicMeant(door.log, version >= BY_ID_FROM, { name, topicId }) };
  });
}

/** Bytes of records that the answer may have; a single batch may go beyond. */
function allowance(request: Request, { door }: Call): number {
  return Math.max(0, Math.min(request.maxBytes, door.limits.fetchBytesMax, door.responseBytes.leftBytes));
}

/** What may be read at once. Each counts for a block or two of a table at least, which is what is read of the card. */
class Room {
  private partitions = 0;
  private leftBytes: number;

  constructor(bytes: number) {
    this.leftBytes = bytes;
  }

  /** False where it is too much beside what was taken before. */
  take(bytes: number): boolean {
    if (this.partitions === AT_ONCE_MAX || (this.partitions > 0 && bytes > this.leftBytes)) return false;
    this.partitions += 1;
    this.leftBytes -= Math.max(bytes, READ_BYTES_MIN);
    return true;
  }
}

/** One partition of a request. */
interface Wanted {
  topic: Topic | undefined;
  wanted: PartitionRequest;
  /** What its answer may have. */
  bytesMax: number;
}

/** Reads the partitions of a request, several at a time, and fills the answer in their order until it has what it may have. */
class ReadingPass {
  records = 0;
  bytes = 0;
  hasErrors = false;
  private readonly request: Request;
  private readonly bytesMax: number;
  private readonly version: number;
  private readonly memory: Loan;
  private readonly ahead: Ahead | undefined;
  /** Where partitions that have more are to be read on: first those that had to wait, then those of this answer. */
  private readonly passedOver: Place[] = [];
  private readonly read: Place[] = [];

  constructor(request: Request, bytesMax: number, { version, memory }: Call, ahead: Ahead | undefined) {
    this.request = request;
    this.bytesMax = bytesMax;
    this.version = version;
    this.memory = memory;
    this.ahead = ahead;
  }

  async run(topics: readonly Meant[]): Promise<TopicResponse[]> {
    const all = topics.flatMap(({ wanted: { partitions }, topic }) => partitions.map((wanted) => ({ topic, wanted })));
    const answers: PartitionResponse[] = [];
    while (answers.length < all.length) {
      const round = this.roundOf(all, answers.length);
      const read = await Promise.all(round.map((each) => this.readPartition(each)));
      for (const [index, each] of round.entries()) answers.push(this.answerOf(each, read[index]!));
    }
    let next = 0;
    return topics.map(({ wanted: { topic, topicId, partitions } }) => {
      next += partitions.length;
      return { topic, topicId, partitions: answers.slice(next - partitions.length, next) };
    });
  }

  /** What may be read at once: together no more than the answer has left, of a few partitions, and of one at least. */
  private roundOf(all: readonly Omit<Wanted, 'bytesMax'>[], from: number): Wanted[] {
    const round: Wanted[] = [];
    const room = new Room(this.leftBytes);
    for (let index = from; index < all.length; index += 1) {
      const { topic, wanted } = all[index]!;
      const partition = topic?.partitions[wanted.partition];
      const isAtEnd = partition === undefined || wanted.fetchOffset >= partition.highWatermark;
      const bytesMax = Math.max(0, Math.min(wanted.partitionMaxBytes, this.leftBytes));
      // The first batch of the answer may be larger than all limits: then nothing else is read beside it.
      const isWithin = isAtEnd || (room.take(bytesMax) && (bytesMax > 0 || this.bytes > 0));
      if (!isWithin && round.length > 0) break;
      round.push({ topic, wanted, bytesMax });
      if (!isWithin) break;
    }
    return round;
  }

  private get leftBytes(): number {
    return Math.max(0, this.bytesMax - this.bytes);
  }

  private async readPartition({ topic, wanted, bytesMax }: Wanted): Promise<Buffer[] | number> {
    if (topic === undefined && this.version >= BY_ID_FROM) return KafkaError.UNKNOWN_TOPIC_ID;
    const partition = topic?.partitions[wanted.partition];
    if (partition === undefined) return KafkaError.UNKNOWN_TOPIC_OR_PARTITION;
    const { fetchOffset, currentLeaderEpoch } = wanted;
    if (currentLeaderEpoch > LEADER_EPOCH) return KafkaError.UNKNOWN_LEADER_EPOCH;
    const isInRange = fetchOffset >= partition.logStart && fetchOffset <= partition.highWatermark;
    if (isInRange && bytesMax === 0 && this.bytes > 0) return [];
    const { isCommittedOnly } = this;
    const known = await this.ahead?.find({ partition, offset: fetchOffset, bytesMax, isCommittedOnly });
    if (known !== undefined && known.length > 0) return known;
    const { allocate } = this.memory;
    try {
      return await (isCommittedOnly
        ? partition.readStable(fetchOffset, bytesMax, allocate)
        : partition.read(fetchOffset, bytesMax, allocate));
    } catch (error) {
      return outcomeOf(error).errorCode;
    }
  }

  private answerOf({ topic, wanted, bytesMax }: Wanted, read: Buffer[] | number): PartitionResponse {
    const partition = topic?.partitions[wanted.partition];
    if (partition === undefined || typeof read === 'number') return this.failed(wanted, read as number, partition);
    // Others were read meanwhile: what was aborted below the log start may be forgotten, and not told from what counts.
    if (wanted.fetchOffset < partition.logStart) return this.failed(wanted, KafkaError.OFFSET_OUT_OF_RANGE, partition);
    // An oversized first batch may have taken what was left.
    const given = this.given(read, Math.min(bytesMax, this.leftBytes));
    this.noteNext(partition, wanted, given);
    return this.found(wanted, partition, given);
  }

  private noteNext(partition: Partition, { fetchOffset, partitionMaxBytes }: PartitionRequest, given: Buffer[]): void {
    const { isCommittedOnly } = this;
    const last = given.at(-1);
    const offset = last === undefined ? fetchOffset : nextOffsetOf(readBatchHeader(last));
    if (offset >= (isCommittedOnly ? partition.lastStableOffset : partition.highWatermark)) return;
    const place = { partition, offset, bytesMax: partitionMaxBytes, isCommittedOnly };
    if (partitionMaxBytes > 0) (last === undefined ? this.passedOver : this.read).push(place);
  }

  /** Where the client is to be expected next: as clients turn their partitions, so that none has to wait for ever. */
  nextPlaces(bytesMax: number): Place[] {
    const room = new Room(bytesMax);
    const places: Place[] = [];
    for (const place of [...this.passedOver, ...this.read]) {
      if (!room.take(place.bytesMax)) break;
      places.push(place);
    }
    return places;
  }

  /** The first batch of the answer is given whatever its size, or a client with small limits would never get past it. */
  private given(batches: Buffer[], bytesMax: number): Buffer[] {
    const isFirst = this.bytes === 0;
    const given: Buffer[] = [];
    let bytes = 0;
    for (const batch of batches) {
      if (bytes + batch.length > bytesMax && !(isFirst && bytes === 0)) break;
      given.push(batch);
      this.records += readBatchHeader(batch).recordCount;
      bytes += batch.length;
    }
    this.bytes += bytes;
    return given;
  }

  private get isCommittedOnly(): boolean {
    return this.request.isolationLevel === READ_COMMITTED;
  }

  private found(wanted: PartitionRequest, partition: Partition, records: Buffer[]): PartitionResponse {
    return {
      partitionIndex: wanted.partition,
      errorCode: KafkaError.NONE,
      highWatermark: partition.highWatermark,
      lastStableOffset: partition.lastStableOffset,
      logStartOffset: partition.logStart,
      abortedTransactions: this.isCommittedOnly ? abortedIn(partition, wanted.fetchOffset, records) : null,
      records,
    };
  }

  private failed(wanted: PartitionRequest, errorCode: number, partition: Partition | undefined): PartitionResponse {
    this.hasErrors = true;
    return {
      partitionIndex: wanted.partition,
      errorCode,
      highWatermark: partition?.highWatermark ?? -1,
      logStartOffset: partition?.logStart ?? -1,
      records: [],
    };
  }
}

/** What was aborted among batches that were read from `offset` on. */
function abortedIn(partition: Partition, offset: number, records: readonly Buffer[]) {
  const last = records.at(-1);
  if (last === undefined) return [];
  const aborted = partition.abortedBetween(offset, nextOffsetOf(readBatchHeader(last)));
  return aborted.map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
}

/** What the partitions of a request grow by after this was made, which is before they are read: so nothing is missed. */
class Growth {
  private readonly partitions = new Set<Partition>();
  private readonly startBytes: number;
  /** Where committed records end, of partitions whose records wait for the end of a transaction. */
  private readonly stable = new Map<Partition, number>();

  constructor(topics: readonly Meant[], isCommittedOnly: boolean) {
    for (const { wanted, topic } of topics) {
      for (const { partition } of wanted.partitions) {
        const found = topic?.partitions[partition];
        if (found !== undefined) this.partitions.add(found);
      }
    }
    this.startBytes = this.sum();
    for (const partition of isCommittedOnly ? this.partitions : []) {
      const { lastStableOffset, highWatermark } = partition;
      if (lastStableOffset < highWatermark) this.stable.set(partition, lastStableOffset);
    }
  }

  get isNothing(): boolean {
    return this.partitions.size === 0;
  }

  private sum(): number {
    let bytes = 0;
    for (const partition of this.partitions) bytes += partition.bytes;
    return bytes;
  }

  /** How much a transaction's end lets through is not known before it is read. */
  private hasSettled(): boolean {
    for (const [partition, offset] of this.stable) if (partition.lastStableOffset > offset) return true;
    return false;
  }

  /** Resolves after a growth by `bytes` or the end of a transaction, after `waitMs`, or when the answer is not wanted any longer. */
  async wait(bytes: number, waitMs: number, { door, signal }: Call): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (this.sum() - this.startBytes >= bytes || this.hasSettled()) resolve();
    };
    const giveUp = (): void => resolve();
    const timer = door.clock.after(waitMs, giveUp);
    signal.addEventListener('abort', giveUp, { once: true });
    const stops = [...this.partitions].map((partition) => partition.onGrowth(check));
    check();
    await promise;
    for (const stop of stops) stop();
    signal.removeEventListener('abort', giveUp);
    timer.cancel();
  }
}
