// One request and its answer as plain values: handlers take an Exchange and return an Answer, or throw a HeadwaterError
// which becomes an answer here. Bodies are bounded.

import type { IncomingMessage } from 'node:http';
import { HeadwaterError, messageOf, type Code } from '../errors.ts';

export interface Exchange {
  request: IncomingMessage;
  /** What stood for `:name` in the route's path. */
  params: ReadonlyMap<string, string>;
  query: URLSearchParams;
  /** Aborts when the client goes away or the room closes. */
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  /** Default: JSON. */
  type?: string;
  headers?: Record<string, string>;
  body: string | Buffer;
}

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

export const JSON_TYPE = 'application/json; charset=utf-8';
export const JSON_LINES_TYPE = 'application/x-ndjson; charset=utf-8';

/** Bytes of a request's body. */
export const BODY_BYTES_MAX = 2 * 1024 * 1024;

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return { status, headers, body: `${JSON.stringify(value)}\n` };
}

const STATUS_OF: Record<Code, number> = {
  FORMAT_TRUNCATED: 500,
  FORMAT_CORRUPT: 500,
  STORE_LOCKED: 500,
  STORE_CORRUPT: 500,
  STORE_UNAVAILABLE: 503,
  LOG_FULL: 503,
  LOG_CLOSED: 503,
  TOPIC_UNKNOWN: 404,
  TOPIC_EXISTS: 409,
  TOPIC_INVALID: 400,
  OFFSET_OUT_OF_RANGE: 416,
  GROUP_UNKNOWN: 404,
  TRANSACTION_UNKNOWN: 404,
  GROUP_BUSY: 409,
  RECORD_TOO_LARGE: 413,
  RECORD_INVALID: 400,
  TIMESTAMP_INVALID: 400,
  SEQUENCE_OUT_OF_ORDER: 409,
  PRODUCER_FENCED: 409,
  TRANSACTION_STATE: 409,
  PORT_MISSING: 404,
  PORT_REFUSED: 409,
  CONFIG_INVALID: 400,
  USAGE: 400,
  NOT_PERMITTED: 403,
  NOT_REACHABLE: 502,
  UPSTREAM_REFUSED: 502,
  TIMED_OUT: 504,
};

/** The answer for whatever a handler threw; undefined when it is a fault of headwater, whose words stay inside. */
export function answerOf(error: unknown): Answer | undefined {
  if (!(error instanceof HeadwaterError)) return undefined;
  const status = STATUS_OF[error.code];
  if (status === 500) return undefined;
  const headers: Record<string, string> = status === 503 ? { 'retry-after': '1' } : {};
  return failure(status, error.code, error.message, headers);
}

export function failure(status: number, error: string, message: string, headers: Record<string, string> = {}): Answer {
  return json(status, { error, message }, headers);
}

/** The whole body. Throws RECORD_TOO_LARGE beyond BODY_BYTES_MAX, USAGE when the client goes away in between. */
export async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof HeadwaterError) throw cause;
    throw new HeadwaterError('USAGE', `the request's body did not come: ${messageOf(cause)}`, { cause });
  }
  return Buffer.concat(chunks);
}

function tooLarge(): HeadwaterError {
  return new HeadwaterError('RECORD_TOO_LARGE', `a request's body may have ${BODY_BYTES_MAX} bytes`);
}

/**
 * The JSON values of the body: one of `application/json`, the entries of a list, or one a line of JSON lines. Throws
 * USAGE for other types and for what is not JSON.
 */
export async function readValues(request: IncomingMessage): Promise<unknown[]> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  const isLines = type === 'application/x-ndjson' || type === 'application/jsonl';
  if (type !== 'application/json' && !isLines) {
    // A page on another site can make a browser send text/plain or a form, but never these without asking first.
    throw new HeadwaterError('USAGE', 'the body must be application/json or application/x-ndjson');
  }
  const text = (await readBytes(request)).toString('utf8');
  if (!isLines) {
    const value = parseJson(text, 'the body');
    return Array.isArray(value) ? value : [value];
  }
  const lines = text.split('\n').map((line, index) => ({ line, number: index + 1 }));
  return lines.filter(({ line }) => line.trim() !== '').map(({ line, number }) => parseJson(line, `line ${number}`));
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HeadwaterError('USAGE', `${what} is not JSON: ${messageOf(cause)}`, { cause });
  }
}

/** Throws USAGE for a parameter that is none: a wrong spelling would otherwise be taken for a default. */
export function checkQuery(query: URLSearchParams, names: readonly string[]): void {
  for (const name of query.keys()) {
    if (!names.includes(name))
      throw new HeadwaterError('USAGE', `${JSON.stringify(name)} is no parameter; there are ${names.join(', ')}`);
  }
}

/** A whole number from the query, within bounds. Throws USAGE. */
export function queryNumber(query: URLSearchParams, name: string, fallback: number, min: number, max: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new HeadwaterError(
    'USAGE',
    `${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`,
  );
}

/** True when the client would rather have JSON lines than one JSON value. */
export function wantsLines({ request, query }: Exchange): boolean {
  const format = query.get('format');
  if (format !== null && format !== 'json' && format !== 'jsonl')
    throw new HeadwaterError('USAGE', `format must be json or jsonl, not ${JSON.stringify(format)}`);
  if (format !== null) return format === 'jsonl';
  return (request.headers.accept ?? '').includes('ndjson');
}
