// Commands: records of a topic that ask a device to do something. A door follows a topic and carries each command out; what
// came of it becomes a record of another topic. **Each command is carried out at most once, whatever is killed when:** the
// position behind it is on the card before the door is asked, and a command that a crash caught in between is answered
// `unknown`, never tried again. Every command gets exactly one answer.
//
//   record ──> too old? ───────────────────────────────────────────────> answer `expired`
//              position + 1, with this offset as under way, is synced ──> run ──> answer
//                                └── crash ── start ────────────────────> answer `unknown`
//
// The answer and the mark that says so are one commit: a crash after it finds the mark and answers no second time. The
// log may hold the answer back for as long as the card refuses writes; the next command waits for it.

import type { Clock } from '../clock.ts';
import type { RecordHeader } from '../formats/batch.ts';
import type { Intake } from '../intake/intake.ts';
import type { Log, Topic } from '../log/log.ts';
import { counter, type Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { followPartition, type Follower } from './follower.ts';

/** A record of a command topic, as it was written. What its bytes mean is the business of who carries it out. */
export interface Command {
  topic: string;
  partition: number;
  offset: number;
  /** By the clock of whoever wrote it. */
  timestampMs: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: readonly RecordHeader[];
}

/**
 * What came of a command:
 * `done` the device says it did it; `refused` the device, or whoever speaks for it, says no: it was not done;
 * `invalid` the command can't be understood: it was not done; `offline` nobody was there to ask: it was not done;
 * `unknown` it was sent and no answer came, or headwater ended in between: it may have been done;
 * `expired` it was too old when it was read: it was not done.
 */
export type OutcomeWord = 'done' | 'refused' | 'invalid' | 'offline' | 'unknown' | 'expired';

export interface Outcome {
  outcome: OutcomeWord;
  /** In words, for people, where it was not simply done. */
  reason?: string;
  /** More fields of the answer, such as what the device returned. */
  detail?: Record<string, unknown>;
}

/** What a door asks for: the commands of a topic, and what to do with them. */
export interface CommandOrder {
  /** Its position's name on the card, the same at each start and no other's: `serial/boiler`. Renamed, it begins at the end. */
  name: string;
  topic: string;
  /** The topic of the answers; undefined: they are counted and not written. */
  resultTopic?: string | undefined;
  /** A command older than this when it is read is not carried out. Infinity: none is too old. */
  ageMaxMs: number;
  /** False: another follower's command, which is passed over without an answer. Must not throw. Default: all are mine. */
  isMine?(command: Command): boolean;
  /** Fields of the answer by which its sender knows it again, such as an id; also asked for commands that are not carried out. */
  echo(command: Command): Record<string, unknown>;
  /**
   * Carries a command out and says what came of it, within a bounded time: the next command of its partition waits. Called
   * at most once for each command, after its position is on the card. One that throws is answered `unknown`.
   */
  run(command: Command): Promise<Outcome>;
}

/** Follows a topic, which is made if it is missing. The first time ever it begins at the topic's end. Throws TOPIC_INVALID. */
export type FollowCommands = (order: CommandOrder) => Following;

export interface Following {
  status(): FollowingStatus;
  /** Takes no further command. On return the one under way is answered, and its answer is on its way to the card. */
  stop(): Promise<void>;
}

export interface FollowingStatus {
  name: string;
  topic: string;
  /** Answered since the start, by outcome. */
  outcomes: Record<OutcomeWord, number>;
  /** Commands that retention removed before they were read, and batches that could not be decoded. */
  lost: number;
  unreadable: number;
  /** Records that wait to be read, over all partitions. */
  waiting: number;
  /** What holds it up at present, such as a card that refuses writes. */
  trouble?: string;
}

export interface Commands {
  follow: FollowCommands;
  status(): FollowingStatus[];
  metrics(): Metric[];
  /** Stops all that follow. */
  close(): Promise<void>;
}

export interface CommandsNeeds {
  log: Log;
  intake: Intake;
  clock: Clock;
  trace: Trace;
}

export function openCommands(needs: CommandsNeeds): Commands {
  const trace = needs.trace.room('commands');
  const followings = new Map<string, Following>();

  function follow(order: CommandOrder): Following {
    const following = followTopic({ ...needs, trace }, order);
    followings.set(order.name, following);
    return following;
  }

  const status = (): FollowingStatus[] => [...followings.values()].map((each) => each.status());
  return {
    follow,
    status,
    metrics: () => metricsOf(status()),
    async close() {
      await Promise.all([...followings.values()].map((each) => each.stop()));
    },
  };
}

/** Follows every partition of a topic, each in its own order, and the topic of the same name that comes after it was deleted. */
function followTopic(needs: CommandsNeeds, order: CommandOrder): Following {
  const { log } = needs;
  const outcomes = { done: 0, refused: 0, invalid: 0, offline: 0, unknown: 0, expired: 0 };
  const counts = { outcomes, lost: 0, unreadable: 0 };
  let topic: Topic | undefined = log.ensureTopic(order.topic);
  let followers = begin(topic, 'end');
  const stopListening = log.onTopics(() => {
    const current = log.topic(order.topic);
    if (current === topic) {
      followers.push(...begin(current, 'start', followers.length));
      return;
    }
    for (const follower of followers) void follower.stop();
    topic = current;
    // It was made while this was listening: what it holds came after.
    followers = begin(current, 'start');
  });

  function begin(of: Topic | undefined, from: 'start' | 'end', index = 0): Follower[] {
    const partitions = of?.partitions.slice(index) ?? [];
    return partitions.map((partition) => followPartition({ ...needs, order, partition, counts, from }));
  }

  return {
    status() {
      const trouble = followers.map((each) => each.trouble()).find((each) => each !== undefined);
      const waiting = followers.reduce((sum, each) => sum + each.waiting(), 0);
      const { name, topic: of } = order;
      return { name, topic: of, ...counts, waiting, ...(trouble !== undefined && { trouble }) };
    },
    async stop() {
      stopListening();
      await Promise.all(followers.map((each) => each.stop()));
    },
  };
}

function metricsOf(followings: FollowingStatus[]): Metric[] {
  const answered = followings.flatMap(({ name, outcomes }) =>
    Object.entries(outcomes).map(([outcome, value]) => ({ labels: { follower: name, outcome }, value })),
  );
  const waiting = followings.map(({ name, waiting: value }) => ({ labels: { follower: name }, value }));
  const lost = followings.map(({ name, lost: value }) => ({ labels: { follower: name }, value }));
  return [
    counter('commands_answered_total', 'Commands answered, by outcome.', answered),
    counter('commands_lost_total', 'Commands that retention removed before they were read.', lost),
    { name: 'commands_waiting', help: 'Commands that wait to be read.', type: 'gauge', samples: waiting },
  ];
}
