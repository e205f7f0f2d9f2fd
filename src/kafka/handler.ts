// What a handler is, and what it is given. One file an API stands in handlers/; dispatch.ts lists them.

import type { KafkaNames } from '../config-kafka.ts';
import type { Clock } from '../clock.ts';
import type { Api, RequestOf, ResponseDraft, Versions } from '../formats/kafka/schema.ts';
import { parseVersions } from '../formats/kafka/schema.ts';
import type { Groups } from '../groups/groups.ts';
import type { Log, Topic } from '../log/log.ts';
import type { Trace } from '../trace.ts';
import type { Transactions } from '../transactions/transactions.ts';
import type { AnswerMemory, Loan } from './answer-memory.ts';
import type { Budget } from './budget.ts';
import type { FrameMemory } from './frame-memory.ts';
import type { ReadAhead } from './read-ahead.ts';

/** Leader epoch of every partition: there is one node, and it never truncates what it has shown. */
export const LEADER_EPOCH = 0;

export interface KafkaLimits {
  /** A larger request is refused and its connection closed. */
  requestBytesMax: number;
  /** Requests that are not answered yet, over all connections; beyond it sockets are not read. */
  requestBytesInFlightMax: number;
  /** Requests of one connection that wait for their answers; beyond it the socket is not read. */
  requestsInFlightMax: number;
  /** Records in one Fetch response, but for a single batch that is larger. */
  fetchBytesMax: number;
  /** Responses that clients have not read yet, over all connections; beyond it Fetch gives one batch a response. */
  responseBytesInFlightMax: number;
  /** A further connection is closed at once. */
  connectionsMax: number;
  connectionsPerAddressMax: number;
  /** A connection without a request for so long is closed. */
  idleMs: number;
  /** So long may a request take to arrive from its first byte on, and a client to read on in a response. */
  stallMs: number;
  /** Topics that clients may have made in all. */
  topicsMax: number;
}

export interface Counters {
  connections: number;
  refused: number;
  malformed: number;
  produced: { records: number; bytes: number };
  fetched: { records: number; bytes: number };
  /** By name of the API. */
  requests: Map<string, number>;
}

/** What all connections share. */
export interface Door {
  readonly log: Log;
  readonly groups: Groups;
  readonly transactions: Transactions;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly nodeId: number;
  /** By Kafka's names, as DescribeConfigs tells them. */
  readonly settings: Readonly<KafkaNames>;
  readonly limits: KafkaLimits;
  readonly counters: Counters;
  readonly requestBytes: Budget;
  readonly responseBytes: Budget;
  readonly answerMemory: AnswerMemory;
  readonly frameMemory: FrameMemory;
  /** What is advertised, in order of keys. */
  readonly served: readonly { apiKey: number; minVersion: number; maxVersion: number }[];
}

export interface Endpoint {
  host: string;
  port: number;
}

/** What a handler knows of the request besides its message. */
export interface Call {
  readonly door: Door;
  readonly version: number;
  /** Where this client reaches the node. */
  readonly endpoint: Endpoint;
  /** What the client calls itself; empty when it does not. */
  readonly clientId: string;
  /** Its address, as Kafka tells it: `/192.168.1.7`. */
  readonly clientHost: string;
  /** It had to wait until the log had room. */
  readonly wasHeldBack: boolean;
  /** For what the answer holds of the log: the answer's own until it is written. */
  readonly memory: Loan;
  /** The connection's. */
  readonly readAhead: ReadAhead;
  /** Aborts when the connection ends or the door closes: then an answer is of no use, or shall come at once. */
  readonly signal: AbortSignal;
}

export const NO_ANSWER = Symbol('no answer');
export const HANG_UP = Symbol('hang up');

/** NO_ANSWER: the request asks for none. HANG_UP: it asks for none, but the client must learn that something failed. */
export type Answer<A extends Api> = ResponseDraft<A> | typeof NO_ANSWER | typeof HANG_UP;

export interface Handler<A extends Api = Api> {
  readonly api: A;
  /** What is advertised. */
  readonly versions: Versions;
  /** May run while earlier requests of the connection, of the same API, have no answer yet. */
  readonly mayOverlap: boolean;
  /** Nobody has kept a view of the request's bytes when it is answered: then others come into their place. */
  readonly keepsNothing: boolean;
  handle(request: RequestOf<A>, call: Call): Answer<A> | Promise<Answer<A>>;
}

/** The topic that a request means: by its id in versions that have ids, else by its name. */
export function topicMeant(log: Log, isById: boolean, { name, topicId }: TopicName): Topic | undefined {
  return isById ? log.topicById(topicId) : log.topic(name);
}

interface TopicName {
  name: string;
  topicId: Buffer;
}

/** Serves all versions of the API's tables, unless others are given. */
export function defineHandler<A extends Api>(
  api: A,
  handle: Handler<A>['handle'],
  options: { versions?: string; mayOverlap?: boolean; keepsNothing?: boolean } = {},
): Handler {
  const versions = options.versions === undefined ? api.versions : parseVersions(options.versions);
  const { mayOverlap = false, keepsNothing = false } = options;
  const handler: Handler<A> = { api, versions, mayOverlap, keepsNothing, handle };
  return handler;
}

/** The promise's value; undefined when `signal` aborts before it is there. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => resolve(undefined);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
