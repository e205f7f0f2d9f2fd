// Records as JSON, both ways, so that what is read can be written again:
//
//   {"topic":"readings","partition":0,"offset":41,"timestamp":1700000000000,"key":"a","value":"{\"t\":21}",
//    "headers":[{"key":"node","value":"pump-7"}]}
//
// Text is UTF-8. Bytes that are no UTF-8 come as `keyBase64`, `valueBase64` instead. On the way in `value` may be any
// JSON (an object becomes its JSON text), and topic and offset do not count.

import { isUtf8 } from 'node:buffer';
import { HeadwaterError } from '../errors.ts';
import type { LogRecord, NewRecord, RecordHeader } from '../formats/batch.ts';

/** One line without the line end. */
export function recordToJson(topic: string, partition: number, record: LogRecord): string {
  return JSON.stringify({
    topic,
    partition,
    offset: record.offset,
    timestamp: record.timestampMs,
    ...named('key', record.key),
    ...named('value', record.value),
    ...(record.headers.length > 0 && {
      headers: record.headers.map(({ key, value }) => ({ key, ...named('value', value) })),
    }),
  });
}

function named(name: string, bytes: Buffer | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null };
  return isUtf8(bytes) ? { [name]: bytes.toString('utf8') } : { [`${name}Base64`]: bytes.toString('base64') };
}

export interface GivenRecord extends NewRecord {
  /** As given, or undefined: then the key decides. */
  partition: number | undefined;
  /** The client has given no time: it is this node's. */
  isStamped: boolean;
}

const FIELDS = new Set([
  'topic',
  'partition',
  'offset',
  'timestamp',
  'key',
  'keyBase64',
  'value',
  'valueBase64',
  'headers',
]);

/** A record as a client wrote it. Throws RECORD_INVALID, naming the record by its number. */
export function recordFromJson(value: unknown, number: number, nowMs: number): GivenRecord {
  const refuse = (what: string): HeadwaterError => new HeadwaterError('RECORD_INVALID', `record ${number}: ${what}`);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse('must be an object such as {"key": "a", "value": "text"}');
  }
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const name of fields.keys()) if (!FIELDS.has(name)) throw refuse(`has no field ${JSON.stringify(name)}`);
  const partition = fields.get('partition');
  if (partition !== undefined && !isWhole(partition, 4095)) throw refuse('partition must be a whole number');
  const given = fields.get('timestamp');
  const timestamp = given ?? nowMs;
  if (!isWhole(timestamp, Number.MAX_SAFE_INTEGER)) throw refuse('timestamp must be milliseconds since 1970');
  return {
    partition,
    timestampMs: timestamp,
    isStamped: given === undefined,
    key: bytesOf(fields, 'key', refuse),
    value: bytesOf(fields, 'value', refuse),
    headers: headersOf(fields.get('headers'), refuse),
  };
}

type Refuse = (what: string) => HeadwaterError;

function isWhole(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

function bytesOf(fields: ReadonlyMap<string, unknown>, name: string, refuse: Refuse): Buffer | null {
  const encoded = fields.get(`${name}Base64`);
  const plain = fields.get(name);
  if (encoded !== undefined) {
    if (plain !== undefined) throw refuse(`has both ${name} and ${name}Base64`);
    if (typeof encoded !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) {
      throw refuse(`${name}Base64 is not base64`);
    }
    return Buffer.from(encoded, 'base64');
  }
  if (plain === undefined || plain === null) return null;
  return Buffer.from(typeof plain === 'string' ? plain : JSON.stringify(plain), 'utf8');
}

function headersOf(value: unknown, refuse: Refuse): RecordHeader[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw refuse('headers must be a list of {"key": ..., "value": ...}');
  return value.map((header: unknown) => {
    const fields = new Map<string, unknown>(
      typeof header === 'object' && header !== null ? Object.entries(header) : [],
    );
    const key = fields.get('key');
    if (typeof key !== 'string') throw refuse('a header must have a key');
    return { key, value: bytesOf(fields, 'value', refuse) };
  });
}
