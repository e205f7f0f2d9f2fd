// Requests through the dispatch, in this process: from the tables (any-request.ts) and from Kafka's own messages, spoilt
// and not. Each is answered in a form that decodes, or refused with FORMAT_TRUNCATED or FORMAT_CORRUPT: whatever else is
// thrown would end the program.

import { HeadwaterError, isHeadwaterError } from '../../src/errors.ts';
import { systemClock } from '../../src/clock.ts';
import { KAFKA_DEFAULTS } from '../../src/config-kafka.ts';
import { decodeResponse, isFlexible } from '../../src/formats/kafka/envelope.ts';
import { includes, type Api } from '../../src/formats/kafka/schema.ts';
import { openGroups } from '../../src/groups/groups.ts';
import { AnswerMemory } from '../../src/kafka/answer-memory.ts';
import { FrameMemory } from '../../src/kafka/frame-memory.ts';
import { createReadAhead } from '../../src/kafka/read-ahead.ts';
import { createBudget } from '../../src/kafka/budget.ts';
import { answerTo, readRequest, servedApis } from '../../src/kafka/dispatch.ts';
import type { Door } from '../../src/kafka/handler.ts';
import { DEFAULT_LIMITS } from '../../src/kafka/kafka.ts';
import type { Log } from '../../src/log/log.ts';
import { createTrace } from '../../src/trace.ts';
import { openTransactions } from '../../src/transactions/transactions.ts';
import { apiOf } from '../formats/kafka/tables.ts';
import { anyRequest, learn, openPool, type Pool } from './any-request.ts';
import { goodMessages, type Message } from './kafka-cases.ts';
import { spoil, type Random } from './random.ts';

export interface Dispatched {
  /** Lines that were printed. */
  lines: string[];
  /** Requests that were answered, by API. */
  answered: Map<string, number>;
  refused: number;
  groups: Door['groups'];
  transactions: Door['transactions'];
  /** Sends so many at once, and waits until all are answered or given up. */
  run(count: number): Promise<void>;
  close(): void;
}

const SIZE_BYTES = 4;
const IDENTITIES_MAX = 3;

export function openDispatch(random: Random, log: Log, topicIds: Buffer[]): Dispatched {
  const lines: string[] = [];
  const trace = createTrace({ write: (line) => lines.push(line), isJournal: false });
  const groupLimits = { groupsMax: 50, membersMax: 200, memberBytesMax: 1 << 20, offsetBytesMax: 1 << 16 };
  const settings = { initialRebalanceDelayMs: 0 };
  const groups = openGroups({ log, clock: systemClock, trace, settings, limits: groupLimits });
  const staged = { settle: groups.settle, producers: groups.stagedBy };
  const transactions = openTransactions({ log, offsets: staged, clock: systemClock, trace });
  const door: Door = {
    log,
    groups,
    transactions,
    clock: systemClock,
    trace,
    nodeId: 1,
    settings: KAFKA_DEFAULTS,
    limits: { ...DEFAULT_LIMITS, topicsMax: 50, fetchBytesMax: 64 * 1024 },
    counters: {
      connections: 0,
      refused: 0,
      malformed: 0,
      produced: { records: 0, bytes: 0 },
      fetched: { records: 0, bytes: 0 },
      requests: new Map(),
    },
    requestBytes: createBudget(1 << 24),
    responseBytes: createBudget(1 << 24),
    answerMemory: new AnswerMemory(),
    frameMemory: new FrameMemory(),
    served: servedApis(),
  };
  const pool = openPool(topicIds);
  const golden = goodMessages().filter(isServed);
  const dispatched: Dispatched = {
    lines,
    answered: new Map(),
    refused: 0,
    groups,
    transactions,
    async run(count) {
      pool.identities = transactions.list().slice(0, IDENTITIES_MAX);
      const ended = new AbortController();
      const asked = Array.from({ length: count }, () => ask(nextFrame(random, golden, pool), ended.signal));
      await new Promise((resolve) => setImmediate(resolve));
      ended.abort();
      await Promise.all(asked);
    },
    close() {
      transactions.close();
      groups.close();
    },
  };

  const readAhead = createReadAhead(door);

  async function ask(frame: Buffer, signal: AbortSignal): Promise<void> {
    try {
      const request = readRequest(frame);
      const { header, handler } = request;
      const version = header.apiVersion;
      const endpoint = { host: 'h', port: 1 };
      const memory = door.answerMemory.lend();
      const answer = await answerTo(request, {
        door,
        version,
        endpoint,
        clientId: 'f',
        clientHost: '/h',
        wasHeldBack: false,
        memory,
        readAhead,
        signal,
      });
      const { name } = handler.api;
      dispatched.answered.set(name, (dispatched.answered.get(name) ?? 0) + 1);
      if (Array.isArray(answer)) check(handler.api, version, Buffer.concat(answer), pool);
      memory.giveBack();
    } catch (error) {
      const isRefusal = isHeadwaterError(error, 'FORMAT_CORRUPT') || isHeadwaterError(error, 'FORMAT_TRUNCATED');
      if (!isRefusal) throw new Error(`${told(error)}: ${frame.toString('hex').slice(0, 2000)}`, { cause: error });
      dispatched.refused += 1;
    }
  }

  return dispatched;
}

function told(error: unknown): string {
  return error instanceof HeadwaterError ? error.code : String(error);
}

function isServed({ api, fields, version }: Message): boolean {
  return (
    fields === api.request &&
    servedApis().some(({ apiKey, minVersion, maxVersion }) => {
      return apiKey === api.key && version >= minVersion && version <= maxVersion;
    })
  );
}

function nextFrame(random: Random, golden: readonly Message[], pool: Pool): Buffer {
  const good = random.below(3) === 0 ? goldenRequest(random, golden) : tableRequest(random, pool);
  const body = good.subarray(SIZE_BYTES);
  return random.below(2) === 0 ? body : spoil(random, body);
}

function tableRequest(random: Random, pool: Pool): Buffer {
  const { apiKey, minVersion, maxVersion } = random.pick(servedApis());
  const version = minVersion + random.below(maxVersion - minVersion + 1);
  return anyRequest(random, apiOf(apiKey)!, version, pool);
}

function goldenRequest(random: Random, golden: readonly Message[]): Buffer {
  const { api, version, bytes } = random.pick(golden);
  // Size (nobody reads it here), key, version, correlation id, no client id, no tagged fields.
  const header = Buffer.alloc(isFlexible(api, version) ? 15 : 14);
  header.writeInt16BE(api.key, 4);
  header.writeInt16BE(version, 6);
  header.writeInt16BE(-1, 12);
  return Buffer.concat([header, bytes]);
}

/** The answer decodes, whatever the request was; ids of members are learnt from it. */
function check(api: Api, version: number, frame: Buffer, pool: Pool): void {
  const answeredVersion = includes(api.versions, version) ? version : 0;
  const message = decodeResponse(api, answeredVersion, frame.subarray(SIZE_BYTES)) as { memberId?: unknown };
  if (typeof message.memberId === 'string') learn(pool, message.memberId);
  if (frame.readInt32BE(0) !== frame.length - SIZE_BYTES) throw new Error('an answer of a wrong size');
}
