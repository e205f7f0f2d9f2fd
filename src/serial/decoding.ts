// Decoding of what a framing hands on: it stands between the framing and the way into the log, whatever the framing is.
//
//   framing ── take(record) ──> decode ──┬──> the port's topic
//                                        ├──> the side topic: the bytes as they came, with headers that say why
//                                        └──> a line of headings: counted
//
// A frame and what becomes of it are one record with the same marks, so that whatever is exactly once stays so.

import type { Decoder } from '../decode/decode.ts';
import type { RecordHeader } from '../formats/batch.ts';
import { counter, type Metric } from '../metrics.ts';
import type { FramedRecord, Framing, FramingNeeds, FramingStatus } from './framing.ts';

export interface DecodingStatus {
  /** The rule in words. */
  rule: string;
  decoded: number;
  /** Frames that did not fit the rule, and where they are. */
  undecoded: number;
  failedTopic: string;
  /** Why the last one did not fit. */
  lastReason?: string;
  headings: number;
  /** Records whose own time was not believed. */
  doubtedTimes: number;
}

/** The framing that `open` makes, with its records decoded on their way. */
export function withDecoding(decoder: Decoder, needs: FramingNeeds, open: (needs: FramingNeeds) => Framing): Framing {
  const decoding = createDecoding(decoder, needs);
  const framing = open({ ...needs, take: decoding.take });

  function status(): FramingStatus {
    const inner = framing.status();
    const invalid = inner.invalid + decoding.status().undecoded;
    return { ...inner, invalid, details: { ...inner.details, decoding: decoding.status() } };
  }

  return {
    ...framing,
    status,
    metrics: () => [...(framing.metrics?.() ?? []), ...metricsOf(decoding.status())],
  };
}

interface Decoding {
  take(record: FramedRecord): void;
  status(): DecodingStatus;
}

function createDecoding(decoder: Decoder, { portName, trace, take }: FramingNeeds): Decoding {
  const units: RecordHeader[] = decoder.units === undefined ? [] : [header('units', decoder.units)];
  const rule = header('decode.rule', decoder.words);
  const origin = { port: portName };
  let decoded = 0;
  let undecoded = 0;
  let headings = 0;
  let doubtedTimes = 0;
  let lastReason: string | undefined;

  function takeFrame(record: FramedRecord): void {
    if (record.isDecoded === true) {
      take(record);
      return;
    }
    const result = decoder.decode(record.value, record.timestampMs, origin);
    if (result.kind === 'misfit') setAside(record, result.reason);
    else if (result.kind === 'record') handOn(record, result);
    // What a device waits for, or what moves a mark, has to reach the card in some form.
    else if (record.marks !== undefined || record.settled !== undefined) setAside(record, 'a line of headings');
    else headings += 1;
  }

  function handOn(record: FramedRecord, { value, key, timestampMs, doubt }: Result): void {
    decoded += 1;
    const headers = record.headers === undefined ? units.slice() : [...record.headers, ...units];
    if (doubt !== undefined) {
      doubtedTimes += 1;
      headers.push(header('time.doubt', doubt));
      trace.limited('the time of a serial record is not believed', { port: portName, reason: doubt });
    }
    take({
      ...record,
      value,
      headers,
      ...(key !== undefined && { key }),
      timestampMs: timestampMs ?? record.timestampMs,
    });
  }

  function setAside(record: FramedRecord, reason: string): void {
    undecoded += 1;
    lastReason = reason;
    const fields = { port: portName, topic: decoder.failedTopic, reason };
    trace.limited('a serial frame does not fit its rule and is set aside', fields);
    const headers = [...(record.headers ?? []), rule, header('decode.reason', reason)];
    take({ ...record, topic: decoder.failedTopic, headers });
  }

  return {
    take: takeFrame,
    status: () => ({
      rule: decoder.words,
      decoded,
      undecoded,
      failedTopic: decoder.failedTopic,
      ...(lastReason !== undefined && { lastReason }),
      headings,
      doubtedTimes,
    }),
  };
}

type Result = Extract<ReturnType<Decoder['decode']>, { kind: 'record' }>;

function header(key: string, value: string): RecordHeader {
  return { key, value: Buffer.from(value) };
}

/** The label `port` is added to each. */
function metricsOf({ decoded, undecoded, headings, doubtedTimes }: DecodingStatus): Metric[] {
  return [
    counter('serial_decoded_total', 'Frames that a rule made records of.', decoded),
    counter('serial_undecoded_total', 'Frames that did not fit their rule and are in the side topic.', undecoded),
    counter('serial_headings_total', 'Lines of headings, which make no record.', headings),
    counter('serial_doubted_times_total', 'Records whose own time was not believed.', doubtedTimes),
  ];
}
