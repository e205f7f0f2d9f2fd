// From the log to MQTT subscribers. A message is routed once its record is committed, in the order of the commits: it is
// retained if it says so, written into the queues of persistent sessions, and then handed to the live connections, which
// are never waited for. Only then may its publisher be acknowledged. QoS 0 is handed to live connections at once.
//
//   committed --> waiting --(one write in flight, the next takes all that waits)--> on the card --> handed on, acknowledged
//
// The table of live subscriptions is aedes' own "mq" (an emitter by filter), which we supply: aedes' default waits for
// every subscriber's socket, and one frozen subscriber would stop all publishers.

import type { Change } from '../store/store.ts';
import type { Message } from './message.ts';
import { KEPT_BROKER_ID } from './persistence.ts';
import type { Retained } from './retained.ts';
import type { RowWriter } from './rows.ts';
import type { Sessions, Staged } from './sessions.ts';
import { createFilterTree } from './topics.ts';

/** A packet as aedes' deliveries take it. */
export interface Packet {
  cmd: 'publish';
  topic: string;
  payload: Buffer;
  qos: 0 | 1 | 2;
  retain: boolean;
  dup: boolean;
  brokerId: string;
  brokerCounter: number;
}

type Listener = (packet: Packet, done: () => void) => void;

export interface Router {
  /** True when somebody, connected or not, has subscribed to that topic. */
  isWanted(topic: string): boolean;
  /** Grows with each change of what isWanted says. */
  generation(): number;
  /** QoS 0: hands the message to live connections. */
  deliver(message: Message): void;
  /**
   * Routes committed messages; calls back when queues and retained messages are on the card and live connections have
   * theirs. With an error, the messages are in no queue, and the publisher has to send them again. `row` is written by the
   * same write as their places in queues, if there are any.
   */
  route(messages: Message[], done: (error?: Error) => void, row?: Change): void;
  /** True while this turn of the event loop has begun as many deliveries as it may: stop reading until `onRoom` calls. */
  isFull(): boolean;
  onRoom(callback: () => void): void;
  /** Resolves when all that was given to route() has been called back. */
  whenIdle(): Promise<void>;
  /** What aedes calls its message queue. */
  readonly mq: object;
}

export interface RouterNeeds {
  sessions: Sessions;
  retained: Retained;
  writer: RowWriter;
  onFailure: (error: unknown) => void;
}

interface Job {
  messages: Message[];
  handedOn: number;
  done: (error?: Error) => void;
  row: Change | undefined;
}

/** Each delivery allocates about a kilobyte until the end of its turn of the event loop. */
const DELIVERIES_A_TURN_MAX = 4000;
/** And no socket is flushed before that: more at once would make any subscriber look slow. */
const BYTES_A_TURN_MAX = 256 * 1024;
const LIVE_BROKER_ID = 'live';

export function createRouter(needs: RouterNeeds): Router {
  const { sessions, retained, writer } = needs;
  const live = createFilterTree<Listener>();
  let lastCounter = sessions.lastCounter;
  let liveCounter = 0;
  let waiting: Job[] = [];
  let isRouting = false;
  let deliveriesThisTurn = 0;
  let bytesThisTurn = 0;
  let roomWaiters: (() => void)[] = [];
  let idleWaiters: (() => void)[] = [];

  function emit(packet: Packet): void {
    if (live.isEmpty()) return;
    live.match(packet.topic, (listener) => {
      if (deliveriesThisTurn === 0) setImmediate(endTurn);
      deliveriesThisTurn += 1;
      bytesThisTurn += packet.topic.length + packet.payload.length;
      listener(packet, ignore);
    });
  }

  function endTurn(): void {
    deliveriesThisTurn = 0;
    bytesThisTurn = 0;
    const waiters = roomWaiters;
    roomWaiters = [];
    for (const waiter of waiters) waiter();
  }

  const isFull = (): boolean => deliveriesThisTurn >= DELIVERIES_A_TURN_MAX || bytesThisTurn >= BYTES_A_TURN_MAX;

  function deliver(message: Message): void {
    if (message.retain) {
      const changes: Change[] = [];
      retained.stage(message, changes);
      if (changes.length > 0) writer.write(changes).then(() => retained.admit(message), needs.onFailure);
    }
    emit(packetOf(message, LIVE_BROKER_ID, ++liveCounter));
  }

  function route(messages: Message[], done: (error?: Error) => void, row?: Change): void {
    waiting.push({ messages, handedOn: 0, done, row });
    if (!isRouting) routeWaiting();
  }

  /** A loop rather than a recursion: most messages need no write, and their jobs end at once. */
  function routeWaiting(): void {
    isRouting = true;
    while (waiting.length > 0) {
      const jobs = waiting;
      waiting = [];
      const changes: Change[] = [];
      const staged: Staged[] = [];
      for (const job of jobs) stageJob(job, changes, staged);
      if (changes.length > 0) {
        writer.write(changes).then(
          () => {
            sessions.admit(staged);
            finish(jobs);
          },
          (error: unknown) => fail(jobs, staged, error),
        );
        return;
      }
      if (!handOn(jobs)) return;
    }
    end();
  }

  function stageJob({ messages, row }: Job, changes: Change[], staged: Staged[]): void {
    const before = changes.length;
    for (const message of messages) stage(message, changes, staged);
    if (row !== undefined && changes.length > before) changes.push(row);
  }

  function stage(message: Message, changes: Change[], staged: Staged[]): void {
    message.counter = ++lastCounter;
    if (message.retain) retained.stage(message, changes);
    if (message.qos > 0) sessions.stage(message, changes, staged);
  }

  /** Hands on what is left of `jobs`; false if it has to stop for the turn's sake, and then it goes on by itself. */
  function handOn(jobs: Job[]): boolean {
    for (let job = jobs[0]; job !== undefined; job = jobs[0]) {
      for (; job.handedOn < job.messages.length; job.handedOn++) {
        if (isFull()) {
          onRoom(() => finish(jobs));
          return false;
        }
        const message = job.messages[job.handedOn]!;
        if (message.retain) retained.admit(message);
        emit(packetOf(message, KEPT_BROKER_ID, message.counter));
      }
      jobs.shift();
      job.done();
    }
    return true;
  }

  function finish(jobs: Job[]): void {
    if (handOn(jobs)) routeWaiting();
  }

  function fail(jobs: Job[], staged: Staged[], error: unknown): void {
    needs.onFailure(error);
    sessions.giveUp(staged);
    for (const job of jobs) job.done(error instanceof Error ? error : new Error(String(error)));
    routeWaiting();
  }

  function end(): void {
    isRouting = false;
    const waiters = idleWaiters;
    idleWaiters = [];
    for (const waiter of waiters) waiter();
  }

  function onRoom(callback: () => void): void {
    if (isFull()) roomWaiters.push(callback);
    else setImmediate(callback);
  }

  return {
    isWanted: (topic) => live.has(topic) || sessions.isWanted(topic),
    generation: () => live.generation + sessions.generation(),
    deliver,
    route,
    isFull,
    onRoom,
    whenIdle: () => (isRouting ? new Promise((resolve) => idleWaiters.push(resolve)) : Promise.resolve()),
    mq: {
      on(filter: string, listener: Listener, done?: () => void) {
        // aedes' own news ($SYS) concern clusters of brokers; nothing here sends or reads them.
        if (!filter.startsWith('$SYS/')) live.add(filter, listener);
        done?.();
      },
      removeListener(filter: string, listener: Listener, done?: () => void) {
        live.remove(filter, listener);
        done?.();
      },
      emit(_packet: unknown, done?: () => void) {
        done?.();
      },
      close(done?: () => void) {
        done?.();
      },
    },
  };
}

function packetOf(message: Message, brokerId: string, brokerCounter: number): Packet {
  const { topic, payload, qos } = message;
  return { cmd: 'publish', topic, payload, qos, retain: false, dup: false, brokerId, brokerCounter };
}

function ignore(): void {}
