// What the short and the long fuzzing of the Kafka protocol share: good messages as Kafka's own classes write them, the
// decoders on spoilt ones, and a live door that is sent spoilt requests.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { isHeadwaterError } from '../../src/errors.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { deleteTopics } from '../../src/formats/kafka/20-delete-topics.ts';
import { deleteRecords } from '../../src/formats/kafka/21-delete-records.ts';
import { alterConfigs } from '../../src/formats/kafka/33-alter-configs.ts';
import { incrementalAlterConfigs } from '../../src/formats/kafka/44-incremental-alter-configs.ts';
import { servedApis } from '../../src/kafka/dispatch.ts';
import { allApis, apiOf } from '../formats/kafka/tables.ts';
import { codecOf, MessageReader, MessageWriter } from '../../src/formats/kafka/codec.ts';
import { decodeRequestHeader, isFlexible } from '../../src/formats/kafka/envelope.ts';
import { FrameSplitter } from '../../src/formats/kafka/framing.ts';
import { includes, type Api, type Fields } from '../../src/formats/kafka/schema.ts';
import { produceOne } from '../kafka/open-door.ts';
import { RawClient } from '../kafka/raw-client.ts';
import { anyRequest, openPool, type Pool } from './any-request.ts';
import { spoil, type Random } from './random.ts';

export interface Message {
  api: Api;
  fields: Fields;
  version: number;
  bytes: Buffer;
}

const GOLDEN = new URL('../golden/kafka/messages-4.3.1.txt', import.meta.url);

export function goodMessages(): Message[] {
  const messages: Message[] = [];
  for (const line of readFileSync(GOLDEN, 'utf8').trim().split('\n')) {
    const [name = '', versionText = '', digits = ''] = line.split(' ', 3);
    const version = Number(versionText);
    const api = allApis().find((each) => name === `${each.name}Request` || name === `${each.name}Response`);
    if (api === undefined || !includes(api.versions, version)) continue;
    const fields = name.endsWith('Request') ? api.request : api.response;
    messages.push({ api, fields, version, bytes: Buffer.from(digits, 'hex') });
  }
  return messages;
}

/** Decodes a spoilt message; what decodes is written and comes back the same. True if it decoded. */
export function fuzzMessage(random: Random, good: readonly Message[]): boolean {
  const { api, fields, version, bytes } = random.pick(good);
  const codec = codecOf(fields, version, isFlexible(api, version));
  let message: unknown;
  try {
    message = codec.read(new MessageReader(spoil(random, bytes), 1000));
  } catch (error) {
    if (isHeadwaterError(error, 'FORMAT_CORRUPT') || isHeadwaterError(error, 'FORMAT_TRUNCATED')) return false;
    throw error;
  }
  const writer = new MessageWriter();
  codec.write(writer, message);
  const again = codec.read(new MessageReader(Buffer.concat(writer.pieces()), 1000));
  if (!isDeepStrictEqual(again, message)) throw new Error(`${api.name} ${version} does not come back the same`);
  return true;
}

/** Any bytes cut into frames, and their headers. */
export function fuzzFrames(random: Random): void {
  const splitter = new FrameSplitter(1000);
  try {
    for (let pieces = random.below(20); pieces > 0; pieces--) {
      const size = Buffer.alloc(4);
      size.writeInt32BE(random.below(40));
      const piece = random.below(2) === 0 ? size : random.bytes(random.below(60));
      for (const frame of splitter.push(piece)) decodeRequestHeader(frame);
    }
  } catch (error) {
    if (!isHeadwaterError(error, 'FORMAT_CORRUPT') && !isHeadwaterError(error, 'FORMAT_TRUNCATED')) throw error;
  }
}

/**
 * Sends requests, most of them spoilt, over fresh connections, and after each asks a client of good manners, which must
 * be answered. `topic` has one partition. Each tenth connection begins with a good Produce that must be acknowledged, so
 * that the log is reached whatever chance brings.
 */
export async function fuzzDoor(random: Random, port: number, topic: string, rounds: number): Promise<void> {
  const witness = await RawClient.connect(port);
  const { topics } = await witness.ask(metadata, 12, { topics: [{ name: topic }], allowAutoTopicCreation: false });
  const target = { name: topic, topicId: topics[0]!.topicId };
  const pool = openPool([target.topicId]);
  pool.names.push(topic, topic, topic);
  for (let round = 0; round < rounds; round++) {
    const client = await RawClient.connect(port);
    if (round % 10 === 0) {
      const { errorCode } = await produceOne(client, topic, oneRecord(random));
      if (errorCode !== 0) throw new Error(`round ${round}: a good Produce is answered with ${errorCode}`);
    }
    for (let count = 1 + random.below(4); count > 0; count--) client.write(anyFrame(random, target, pool));
    client.socket.end();
    // Some leave at once, without a look at their answers.
    if (random.below(3) === 0) client.end();
    else await client.closed();
    const answer = await witness.ask(metadata, 9, { topics: null });
    if (answer.controllerId !== 1) throw new Error(`round ${round}: the witness is answered wrongly`);
  }
  witness.end();
}

interface Target {
  name: string;
  topicId: Buffer;
}

/** A request in its frame: spoilt behind the size, spoilt with the size, or good. None deletes the topic or its records. */
function anyFrame(random: Random, { name, topicId }: Target, pool: Pool): Buffer {
  for (;;) {
    const { apiKey, minVersion, maxVersion } = random.pick(servedApis());
    const version = minVersion + random.below(maxVersion - minVersion + 1);
    const frame = spoiltOrGood(random, anyRequest(random, apiOf(apiKey)!, version, pool));
    // Chance may make one of these of any other, and it would be obeyed.
    const isHarmful = frame.length >= 6 && HARMFUL.has(frame.readInt16BE(4));
    if (!isHarmful || !(frame.includes(name) || frame.includes(topicId))) return frame;
  }
}

const HARMFUL: ReadonlySet<number> = new Set(
  [deleteTopics, deleteRecords, alterConfigs, incrementalAlterConfigs].map(({ key }) => key),
);

function spoiltOrGood(random: Random, good: Buffer): Buffer {
  switch (random.below(4)) {
    case 0:
      return good;
    case 1:
      return spoil(random, good);
    default: {
      const body = spoil(random, good.subarray(4));
      const size = Buffer.alloc(4);
      size.writeInt32BE(body.length);
      return Buffer.concat([size, body]);
    }
  }
}

function oneRecord(random: Random): Buffer {
  return encodeBatch([{ timestampMs: 1, key: null, value: random.bytes(20) }]);
}
