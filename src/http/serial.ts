// Serial ports over HTTP, for whoever looks for a fault at one: what happens at a port, and sending to its device.
//
//   GET  /serial/:port/events?from=N&wait=MS   JSON lines, as soon as there are any; `headwater-next` is the next N
//     {"at": ms, "kind": "received" or "sent", "bytes": 5, "hex": "68656c6c6f"}
//     {"at": ms, "kind": "record", "topic": "boiler", "keyHex": null, "bytes": 5, "hex": "68656c6c6f"}
//     {"at": ms, "kind": "frame", "way": "received" or "sent", "words": "PING"}
//     {"at": ms, "kind": "state", "state": "lost", "reason": "the device has gone"}
//     {"kind": "missed", "events": 12}
//   POST /serial/:port/send                    {"hex": "70696e67"}
//
// `bytes` is how many there were; of more than 4096 the first are given. Looking on slows no port: who asks too seldom
// misses events.

import { HeadwaterError } from '../errors.ts';
import { json, JSON_LINES_TYPE, readValues, type Answer, type Exchange } from './exchange.ts';

/** What the serial room offers; see there. */
export interface SerialPorts {
  events(name: string, from: number | undefined, waitMs: number, signal: AbortSignal): Promise<SerialEvents>;
  send(name: string, data: Buffer): void;
}

export interface SerialEvents {
  events: readonly SerialEvent[];
  missed: number;
  next: number;
}

interface SerialEvent {
  atMs: number;
  kind: string;
  /** Before the data was cut. */
  bytes: number;
  data?: Buffer;
  topic?: string;
  key?: Buffer | null;
  way?: string;
  words?: string;
  state?: string;
  reason?: string;
}

const WAIT_MS_MAX = 20_000;
/** More than may wait to be sent is refused by the port. */
const SEND_BYTES_MAX = 64 * 1024;

export async function portEvents(ports: SerialPorts, { params, query, signal }: Exchange): Promise<Answer> {
  const from = wholeOf(query, 'from');
  const waitMs = Math.min(WAIT_MS_MAX, wholeOf(query, 'wait') ?? 0);
  const page = await ports.events(params.get('port') ?? '', from, waitMs, signal);
  const missed = page.missed === 0 ? [] : [{ kind: 'missed', events: page.missed }];
  const lines = [...missed, ...page.events.map(lineOf)].map((line) => `${JSON.stringify(line)}\n`);
  return { status: 200, type: JSON_LINES_TYPE, headers: { 'headwater-next': String(page.next) }, body: lines.join('') };
}

export async function sendToPort(ports: SerialPorts, { params, request }: Exchange): Promise<Answer> {
  const [value] = await readValues(request);
  const hex = typeof value === 'object' && value !== null && 'hex' in value ? value.hex : undefined;
  if (typeof hex !== 'string' || !/^(?:[0-9A-Fa-f]{2})+$/.test(hex) || hex.length > 2 * SEND_BYTES_MAX) {
    throw new HeadwaterError('USAGE', `what is sent must be {"hex": "70696e67"}, at most ${SEND_BYTES_MAX} bytes`);
  }
  ports.send(params.get('port') ?? '', Buffer.from(hex, 'hex'));
  return json(200, { sent: hex.length / 2 });
}

function lineOf(event: SerialEvent): Record<string, unknown> {
  const { atMs, kind, bytes, data, topic, key, way, words, state, reason } = event;
  if (kind === 'frame') return { at: atMs, kind, way, words };
  if (data === undefined) return { at: atMs, kind, state, ...(reason !== undefined && { reason }) };
  const record = kind === 'record' ? { topic, keyHex: key?.toString('hex') ?? null } : {};
  return { at: atMs, kind, ...record, bytes, hex: data.toString('hex') };
}

function wholeOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new HeadwaterError('USAGE', `${name} must be a whole number`);
  return Number(text);
}
