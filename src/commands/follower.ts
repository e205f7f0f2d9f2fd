// One follower in one partition of a command topic: reads on from its position, moves the position before it has a
// command carried out, and hands in the answer. One command at a time, so that their order is the partition's.
//
//   position  command/<name>   offset N + 1, state { open: N } from before a command is carried out until the next one
//   mark      command/<name>/<partition>   { topicId, offset: N }, in the commit of the answer to N
//
// At the start the two tell what became of N: open and marked, it is answered; open and not marked, nobody knows.

import type { Clock } from '../clock.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import { decodeRecords, nextOffsetOf, readBatchHeader, unsureBootOf } from '../formats/batch.ts';
import type { BatchHeader, LogRecord } from '../formats/batch.ts';
import type { Intake } from '../intake/intake.ts';
import type { Commit, Log, Partition, Position } from '../log/log.ts';
import type { Trace } from '../trace.ts';
import type { Command, CommandOrder, Outcome, OutcomeWord } from './commands.ts';

export interface Follower {
  /** Takes no further command. On return the one under way is answered, or five seconds are over. */
  stop(): Promise<void>;
  /** Records that wait to be read. */
  waiting(): number;
  trouble(): string | undefined;
}

export interface FollowerNeeds {
  log: Log;
  intake: Intake;
  clock: Clock;
  trace: Trace;
  order: CommandOrder;
  partition: Partition;
  counts: { outcomes: Record<OutcomeWord, number>; lost: number; unreadable: number };
  /** Where it begins when it has no position. */
  from: 'start' | 'end';
}

const READ_BYTES = 64 * 1024;
const RETRY_MS = 1000;
/** A command is carried out in less; what waits longer waits for a card that refuses writes. */
const STOP_MS = 5000;

export function followPartition(needs: FollowerNeeds): Follower {
  const { log, intake, clock, trace, order, partition, counts } = needs;
  const { positions } = log;
  const owner = `command/${order.name}`;
  const markKey = `${owner}/${partition.index}`;
  const topicId = partition.topic.id.toString('hex');
  const stopping = new AbortController();
  const { signal } = stopping;
  const position = positions.get(owner, partition);
  const answeredTo = answeredOffset();
  const startedAt = partition.highWatermark;
  let next = Math.max(position?.offset ?? firstOffset(), answeredTo + 1);
  let trouble: string | undefined;
  const stopped = new Promise<false>((resolve) => {
    signal.addEventListener('abort', () => resolve(false), { once: true });
  });

  function firstOffset(): number {
    return needs.from === 'start' ? partition.logStart : partition.lastStableOffset;
  }

  function answeredOffset(): number {
    for (const [key, value] of log.marks(markKey)) {
      if (key !== markKey) continue;
      const mark = JSON.parse(value.toString()) as { topicId: string; offset: number };
      if (mark.topicId === topicId) return mark.offset;
    }
    return -1;
  }

  async function run(): Promise<void> {
    positions.pin(owner, partition);
    const { open } = (position?.state ?? {}) as { open?: number };
    if (position === undefined) await persistently(() => place({ offset: next }, true));
    if (open !== undefined && open > answeredTo) await persistently(() => settle(open));
    while (!signal.aborted) {
      await partition.waitBeyond(next, signal);
      await log.whenRoom(signal);
      // A topic that is deleted wakes its readers; its follower is stopped in the same turn.
      if (!signal.aborted) await persistently(readOn);
    }
  }

  /** Repeats `work` until it gets through or the follower is stopped: a card that refuses writes may take them later. */
  async function persistently(work: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        await work();
        trouble = undefined;
        return;
      } catch (error) {
        trouble = messageOf(error);
        trace.limited('commands wait', { follower: order.name, topic: order.topic, reason: trouble });
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }

  async function readOn(): Promise<void> {
    if (next < partition.logStart) {
      counts.lost += partition.logStart - next;
      trace.warn('commands were removed before they were read', {
        follower: order.name,
        commands: partition.logStart - next,
      });
      next = partition.logStart;
    }
    for (const batch of await partition.readStable(next, READ_BYTES)) {
      // Of what is gone meanwhile nobody knows whether it was aborted.
      if (next < partition.logStart) return;
      const header = readBatchHeader(batch);
      for (const record of recordsOf(batch)) {
        if (record.offset < next) continue;
        if (signal.aborted) return;
        await take(commandOf(partition, record), isAgeKnown(header, record));
      }
      next = Math.max(next, nextOffsetOf(header));
    }
  }

  function recordsOf(batch: Buffer): LogRecord[] {
    if (!partition.isData(readBatchHeader(batch))) return [];
    try {
      return decodeRecords(batch);
    } catch (error) {
      if (!isHeadwaterError(error)) throw error;
      counts.unreadable += 1;
      trace.limited('a batch of commands cannot be read', { follower: order.name, reason: error.message });
      return [];
    }
  }

  /**
   * While nobody knows the time, it is known of what this boot stamped, and of what came since the start: that is read
   * at once, or waited for what came before it.
   */
  function isAgeKnown(header: BatchHeader, { offset }: LogRecord): boolean {
    const { doubt } = clock;
    return doubt === undefined || unsureBootOf(header) === doubt.boot || offset >= startedAt;
  }

  async function take(command: Command, isDated: boolean): Promise<void> {
    const { offset, timestampMs } = command;
    if (order.isMine?.(command) === false) {
      next = offset + 1;
      return place({ offset: next }, false);
    }
    if (!isDated) {
      next = offset + 1;
      return answer(command, { outcome: 'expired', reason: 'nobody knows how old it is: the clock is not set yet' });
    }
    const ageMs = clock.wallMs() - timestampMs;
    if (ageMs > order.ageMaxMs) {
      const reason = `it was ${Math.round(ageMs / 1000)} s old when it was read, ${order.ageMaxMs / 1000} s is the most`;
      next = offset + 1;
      return answer(command, { outcome: 'expired', reason });
    }
    await place({ offset: offset + 1, state: { open: offset } }, true);
    // Stopped while the card was slow: it was not carried out, and may be at the next start.
    if (signal.aborted) return place({ offset }, false);
    next = offset + 1;
    await answer(command, await outcomeOf(command));
  }

  async function outcomeOf(command: Command): Promise<Outcome> {
    try {
      return await order.run(command);
    } catch (error) {
      return { outcome: 'unknown', reason: messageOf(error) };
    }
  }

  function place(to: Position, isDurable: boolean): Promise<void> {
    return positions.set(owner, partition, to, isDurable);
  }

  /** Answers the command that was under way when headwater ended. Retention may have taken its record: then it is counted. */
  async function settle(open: number): Promise<void> {
    const batches = open < partition.logStart ? [] : await partition.read(open, 1);
    const record = batches.flatMap(recordsOf).find(({ offset }) => offset === open);
    if (record === undefined) counts.lost += 1;
    else {
      const reason = 'headwater ended while it was carried out';
      await answer(commandOf(partition, record), { outcome: 'unknown', reason });
    }
  }

  /**
   * On return the answer is on the card, and the position says that nothing is under way. After a stop it does not wait
   * for the card: the mark then tells the next start whether the answer got there.
   */
  async function answer(command: Command, outcome: Outcome): Promise<void> {
    counts.outcomes[outcome.outcome] += 1;
    const commit = await handIn(command, outcome);
    if (commit === undefined) return;
    const isKept = await Promise.race([commit.done().then(() => true), stopped]);
    if (isKept) await place({ offset: next }, false);
  }

  async function handIn(command: Command, outcome: Outcome): Promise<Commit | undefined> {
    let isWhole = true;
    for (;;) {
      try {
        return accept(command, outcome, isWhole);
      } catch (error) {
        trouble = messageOf(error);
        trace.limited('an answer waits to be handed in', { follower: order.name, reason: trouble });
        if (isWhole && isHeadwaterError(error, 'RECORD_TOO_LARGE')) isWhole = false;
        else if (signal.aborted) return undefined;
        else await clock.sleep(RETRY_MS, signal);
      }
    }
  }

  /** An answer that fits no batch is given without what was echoed and without its details. */
  function accept(command: Command, outcome: Outcome, isWhole: boolean): Commit {
    const { topic, offset } = command;
    const mark = Buffer.from(JSON.stringify({ topicId, offset }));
    if (order.resultTopic === undefined) return log.mark(markKey, mark);
    const value = Buffer.from(
      JSON.stringify({
        ...(isWhole && order.echo(command)),
        outcome: outcome.outcome,
        ...(isWhole && outcome.reason !== undefined && { reason: outcome.reason }),
        ...(isWhole && outcome.detail),
        command: { topic, partition: partition.index, offset },
      }),
    );
    const key = isWhole ? command.key : null;
    return intake.accept({ topic: order.resultTopic, key, value, door: 'commands' }, [[markKey, mark]]);
  }

  const running = run().catch((error: unknown) => {
    trouble = messageOf(error);
    trace.error('commands are not followed any more', { follower: order.name, reason: trouble });
  });

  return {
    async stop() {
      stopping.abort();
      const over = new AbortController();
      await Promise.race([running, clock.sleep(STOP_MS, over.signal)]);
      over.abort();
      positions.unpin(owner, partition);
    },
    waiting: () => Math.max(0, partition.highWatermark - Math.max(next, partition.logStart)),
    trouble: () => trouble,
  };
}

function commandOf(partition: Partition, record: LogRecord): Command {
  const { offset, timestampMs, key, value, headers } = record;
  return { topic: partition.topic.name, partition: partition.index, offset, timestampMs, key, value, headers };
}
