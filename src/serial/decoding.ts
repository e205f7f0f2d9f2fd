// Decoding of what a framing hands on: it stands between the framing and the way into the log, whatever the framing is.
//
//   framing ── take(record) ──> decode ──┬──> the port's topic
//                                        ├──> the side topic: the bytes as they came, with headers that say why
//                                        └──> a line of headings: counted
//
// A frame and what becomes of it are one record with the same receipt, so that whatever is exactly once stays so.

import type { Decoded, Decoder } from '../decode/decode.ts';
import type { RecordHeader } from '../formats/batch.ts';
import { counter, type Metric } from '../metrics.ts';
import { ruleOf, type DecodingConfig, type FrameRule } from './decode-settings.ts';
import type { FramedRecord, Framing, FramingNeeds, FramingStatus } from './framing.ts';

export interface DecodingStatus {
  /** In words. */
  rules: string[];
  decoded: number;
  /** Frames that did not fit the rule, and where they are. */
  undecoded: number;
  failedTopics: string[];
  /** Why the last one did not fit. */
  lastReason?: string;
  headings: number;
  /** Records whose own time was not believed. */
  doubtedTimes: number;
}

/** The framing that `open` makes, with its records decoded on their way. */
export function withDecoding(
  config: DecodingConfig,
  needs: FramingNeeds,
  open: (needs: FramingNeeds) => Framing,
): Framing {
  const decoding = createDecoding(config, needs);
  const framing = open({ ...needs, take: decoding.take });

  function status(): FramingStatus {
    const inner = framing.status();
    const own = decoding.status();
    const { decoded, undecoded, lastReason } = own;
    const isMisfit = decoded === 0 && undecoded > 0;
    const problem = `none of ${undecoded} frames fits the rule for decoding: ${lastReason}`;
    return {
      ...inner,
      invalid: inner.invalid + undecoded,
      problems: [...(inner.problems ?? []), ...(isMisfit ? [problem] : [])],
      details: { ...inner.details, decoding: own },
    };
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

/** A rule with its headers made ready. */
interface ReadyRule extends FrameRule {
  units: RecordHeader[];
  words: RecordHeader[];
}

/** Devices name some 64 channels at a time; one that renames them for ever must not fill the memory. */
const CHANNELS_MAX = 1024;

function createDecoding(config: DecodingConfig, { portName, trace, take }: FramingNeeds): Decoding {
  const ready = new Map<FrameRule, ReadyRule>([config, ...config.channels].map((rule) => [rule, readyRule(rule)]));
  const byChannel = new Map<string | undefined, ReadyRule>();
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
    const rule = ruleFor(record.channel);
    const { decoder } = rule;
    const { channel, topic = rule.topic } = record;
    const routed = topic === undefined ? record : { ...record, topic };
    if (decoder === undefined) {
      take(routed);
      return;
    }
    const origin = channel === undefined ? { port: portName } : { port: portName, channel };
    const result = decoder.decode(record.value, record.timestampMs, origin);
    if (result.kind === 'misfit') setAside(record, rule, decoder, result.reason);
    else if (result.kind === 'record') handOn(routed, rule, result);
    // What a device waits for, or what moves a mark, has to reach the card in some form.
    else if (record.receipt !== undefined) setAside(record, rule, decoder, 'a line of headings');
    else headings += 1;
  }

  function ruleFor(channel: string | undefined): ReadyRule {
    let rule = byChannel.get(channel);
    if (rule === undefined) {
      rule = ready.get(ruleOf(config, channel))!;
      if (byChannel.size >= CHANNELS_MAX) byChannel.clear();
      byChannel.set(channel, rule);
    }
    return rule;
  }

  function handOn(record: FramedRecord, { units }: ReadyRule, { value, key, timestampMs, doubt }: Result): void {
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
      ...(timestampMs !== undefined && { timestampMs, isTimeGiven: true }),
    });
  }

  function setAside(record: FramedRecord, { words }: ReadyRule, { failedTopic }: Decoder, reason: string): void {
    undecoded += 1;
    lastReason = reason;
    trace.limited('a serial frame does not fit its rule', { port: portName, topic: failedTopic, reason });
    const headers = [...(record.headers ?? []), ...words, header('decode.reason', reason)];
    take({ ...record, topic: failedTopic, headers });
  }

  return {
    take: takeFrame,
    status: () => ({
      rules: [config, ...config.channels].flatMap(({ decoder }) => decoder?.words ?? []),
      decoded,
      undecoded,
      failedTopics: failedTopicsOf(config),
      ...(lastReason !== undefined && { lastReason }),
      headings,
      doubtedTimes,
    }),
  };
}

type Result = Extract<Decoded, { kind: 'record' }>;

function readyRule(rule: FrameRule): ReadyRule {
  const { decoder } = rule;
  const words = decoder === undefined ? [] : [header('decode.rule', decoder.words)];
  return { ...rule, words, units: decoder?.units === undefined ? [] : [header('units', decoder.units)] };
}

function failedTopicsOf({ decoder, channels }: DecodingConfig): string[] {
  const topics = [decoder, ...channels.map((rule) => rule.decoder)].flatMap((each) => each?.failedTopic ?? []);
  return [...new Set(topics)];
}

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
