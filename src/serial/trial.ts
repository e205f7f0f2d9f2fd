// What a port's rules would make of a frame, without a device, a log or a node: for trying a rule out.

import type { SerialPort } from '../config.ts';
import type { Clock } from '../clock.ts';
import type { Trace } from '../trace.ts';
import { withDecoding } from './decoding.ts';
import type { FramedRecord, Framing, FramingNeeds } from './framing.ts';
import { readingOf } from './reading.ts';
import { portConfigs } from './settings.ts';

export interface Trial {
  port: string;
  /** `heading`: counted, and no record. */
  kind: 'record' | 'undecoded' | 'heading';
  topic?: string;
  key?: string;
  value?: Buffer;
  timestampMs?: number;
  headers?: Record<string, string>;
  /** Why it is undecoded. */
  reason?: string;
}

/** Decodes a frame: the bytes that the framing hands on, without delimiter or length. Throws CONFIG_INVALID. */
export function tryDecoding(
  settings: SerialPort,
  frame: { bytes: Buffer; channel: string | undefined },
  needs: { clock: Clock; trace: Trace },
): Trial {
  const [config] = portConfigs([settings]);
  const { name, topic, framing, decoding } = config!;
  const taken: FramedRecord[] = [];
  let take: FramingNeeds['take'] = () => undefined;
  const all: FramingNeeds = {
    portName: name,
    ...needs,
    take: (record) => void taken.push(record),
    isFull: () => false,
    write: () => false,
  };
  withDecoding(decoding, all, (inner) => {
    take = inner.take;
    return NOTHING;
  });
  const { bytes, channel } = frame;
  const line = framing.kind === 'lines' ? readingOf(bytes, framing, Buffer.from(name)) : { value: bytes };
  const { value, key } = { key: undefined, ...line };
  const timestampMs = needs.clock.wallMs();
  take({ value, timestampMs, ...(key !== undefined && { key }), ...(channel !== undefined && { channel }) });
  const [record] = taken;
  return record === undefined ? { port: name, kind: 'heading' } : trialOf(record, { name, topic });
}

const NOTHING: Framing = {
  opened() {},
  chunk() {},
  lost() {},
  stop() {},
  status: () => ({ overlong: 0, invalid: 0 }),
};

function trialOf(record: FramedRecord, port: { name: string; topic: string }): Trial {
  const headers = Object.fromEntries((record.headers ?? []).map(({ key, value }) => [key, String(value)]));
  const reason = headers['decode.reason'];
  return {
    port: port.name,
    kind: reason === undefined ? 'record' : 'undecoded',
    topic: record.topic ?? port.topic,
    ...(record.key !== null && { key: String(record.key ?? port.name) }),
    value: record.value,
    timestampMs: record.timestampMs,
    headers: { 'serial.port': port.name, ...headers },
    ...(reason !== undefined && { reason }),
  };
}
