// Requests of every API that is served, made from the tables: whatever a table allows, with names, ids and numbers at which
// something may happen. An API that is added is in them by itself.

import { encodeBatch } from '../../src/formats/batch.ts';
import { encodeRequest } from '../../src/formats/kafka/envelope.ts';
import { includes, type Api, type Field, type Fields } from '../../src/formats/kafka/schema.ts';
import type { Random } from './random.ts';

/** What chance picks from; tests add what they learn, such as the ids of members. */
export interface Pool {
  names: string[];
  ids: Buffer[];
  /** Transactional ids and their producers: three numbers that chance would never bring together. */
  identities: Identity[];
}

export interface Identity {
  transactionalId: string;
  producerId: number;
  producerEpoch: number;
}

const LONG = 'n'.repeat(249);
const LEARNT_MAX = 40;

export function openPool(topicIds: Buffer[]): Pool {
  const topics = [
    't',
    't',
    't',
    'u',
    'fresh-1',
    'fresh-2',
    '.',
    '..',
    '',
    LONG,
    `${LONG}n`,
    'a b',
    'ü',
    '\u0000',
    'a/b',
  ];
  const others = [
    'g0',
    'g0',
    'g1',
    'm0',
    'm1',
    'i0',
    'range',
    'uniform',
    'consumer',
    'x'.repeat(2000),
    't.*',
    '((',
    '1',
  ];
  return { names: [...topics, ...others], ids: [...topicIds, Buffer.alloc(16), Buffer.alloc(16, 7)], identities: [] };
}

export function learn(pool: Pool, name: string): void {
  if (name === '' || pool.names.includes(name)) return;
  if (pool.names.length >= LEARNT_MAX) pool.names.splice(30, 1);
  pool.names.push(name);
}

const INTS = [-3, -2, -1, 0, 0, 0, 1, 1, 2, 5, 100, 127];
const WIDE = [...INTS, 30_000, 60_000];
const WIDEST = [...WIDE, 2 ** 31 - 1, -(2 ** 31)];
const HUGE = [...WIDEST, Number.MAX_SAFE_INTEGER, Date.now(), 1e15];

/** A whole request, its size in front: what it holds is what the table allows. */
export function anyRequest(random: Random, api: Api, version: number, pool: Pool): Buffer {
  const message = anyStruct(random, api.request, version, pool) as never;
  return Buffer.concat(encodeRequest(api, version, { correlationId: random.below(1000), clientId: 'f' }, message));
}

function anyStruct(random: Random, fields: Fields, version: number, pool: Pool): Record<string, unknown> {
  const struct: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (!includes(field.versions, version)) continue;
    if (field.tag !== undefined && random.below(2) === 0) continue;
    struct[name] = anyValue(random, field, version, pool);
  }
  if (pool.identities.length > 0 && random.below(3) > 0) impersonate(struct, random.pick(pool.identities));
  return struct;
}

/** Whoever speaks in this struct, if somebody does, is this one. */
function impersonate(struct: Record<string, unknown>, identity: Identity): void {
  for (const name of Object.keys(struct)) {
    const plain = name.replace(/^v3AndBelow(.)/, (_, first: string) => first.toLowerCase());
    if (plain in identity) struct[name] = identity[plain as keyof Identity];
  }
}

function anyValue(random: Random, field: Field, version: number, pool: Pool): unknown {
  if (includes(field.nullable, version) && random.below(4) === 0) return null;
  const some = <T>(make: () => T): T[] => Array.from({ length: random.pick([0, 1, 1, 1, 2, 3]) }, make);
  switch (field.kind) {
    case 'boolean':
      return random.below(2) === 0;
    case 'int8':
      return random.pick(INTS);
    case 'int16':
      return random.pick(INTS);
    case 'int32':
      return random.pick(WIDEST);
    case 'int64':
      return random.pick(HUGE);
    case 'uuid':
      return random.pick(pool.ids);
    case 'string':
      return random.pick(pool.names);
    case 'records':
      return random.below(3) === 0 ? random.bytes(random.below(100)) : anyBatch(random, pool);
    case 'list':
      return some(() => anyValue(random, field.element!, version, pool));
    case 'array':
      return some(() => anyStruct(random, field.fields!, version, pool));
    case 'struct':
      return anyStruct(random, field.fields!, version, pool);
    default:
      return random.pick(HUGE);
  }
}

function anyBatch(random: Random, { identities }: Pool): Buffer {
  const record = { timestampMs: 1, key: null, value: random.bytes(20) };
  if (identities.length > 0 && random.below(2) === 0) {
    const { producerId, producerEpoch } = random.pick(identities);
    return encodeBatch([record], { producerId, producerEpoch, baseSequence: random.below(3), isTransactional: true });
  }
  const producer = random.below(2) === 0 ? {} : { producerId: random.below(3), producerEpoch: 0, baseSequence: 0 };
  return encodeBatch([record], producer);
}
