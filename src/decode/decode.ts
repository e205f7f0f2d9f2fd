// Decoding: what the bytes of one frame become, by a rule of the configuration. `raw` leaves them, `utf8` and `json` check
// them, struct, json with fields, and csv write them as JSON. Pure and without state: a rule is compiled once into
// closures, and each frame is decoded by itself.
//
//   frame ──> read ──┬─> value, key, time ──> a record
//                    ├─> a line of headings: counted
//                    └─> a misfit, with the reason in words: whoever has the frame keeps its bytes
//
// Whatever the bytes are, decode() returns one of these, and what it writes is JSON. Time and memory are bounded by the
// length of the frame; a value above VALUE_BYTES_MAX is a misfit, as no batch would hold it.

import { isUtf8 } from 'node:buffer';
import type { DecodeRule, RuleGroup } from '../config-decode.ts';
import { isRefusal, parseTopicName } from '../config-units.ts';
import { Misfit, type Body, type RuleProblem } from './body.ts';
import { compileCsv } from './csv.ts';
import { compileJson } from './json.ts';
import { compileKey, type Origin } from './key.ts';
import { compileStruct } from './struct.ts';
import { compileTime } from './time.ts';

export type { DecodeRule } from '../config-decode.ts';
export type { RuleProblem } from './body.ts';
export type { Origin } from './key.ts';

export type Decoded =
  | {
      kind: 'record';
      /** The frame itself where nothing is to change, otherwise bytes of its own. */
      value: Buffer;
      /** Undefined: the key that it would have without decoding. */
      key: Buffer | undefined;
      /** Undefined: the time of arrival. */
      timestampMs: number | undefined;
      /** Why a time in the frame was not believed. */
      doubt: string | undefined;
    }
  | { kind: 'heading' }
  | { kind: 'misfit'; reason: string };

export interface Decoder {
  /** The rule in words, such as `struct of 3 fields in 8 bytes`. */
  words: string;
  /** The topic for frames that do not fit. */
  failedTopic: string;
  /** JSON of the units by field, where a field has one. */
  units: string | undefined;
  /** Never throws. `arrivalMs` is wall clock time. */
  decode(frame: Buffer, arrivalMs: number, origin: Origin): Decoded;
}

/** What is known of the frames beforehand. */
export interface FrameFacts {
  /** The topic of the records. */
  topic: string;
  /** The length of each frame, where the framing fixes it. */
  frameBytes?: number;
}

/** Less than a batch holds, with room for key and headers. */
const VALUE_BYTES_MAX = 960 * 1024;
const KEY_BYTES_MAX = 4096;
const FAILED_SUFFIX = '.undecoded';

/**
 * The decoder of a rule, or all mistakes in it, with their places below the rule. Undefined for `raw`: frames stay as
 * they are.
 */
export function compileRule(
  rule: DecodeRule,
  facts: FrameFacts,
): { decoder: Decoder | undefined; problems: RuleProblem[] } {
  if (rule === 'raw') return { decoder: undefined, problems: [] };
  const problems: RuleProblem[] = [];
  const group: RuleGroup = typeof rule === 'string' ? groupOf(rule) : rule;
  const kinds = (['struct', 'json', 'csv'] as const).filter((kind) => group[kind] !== undefined);
  const named = group.utf8 === true ? [...kinds, 'utf8'] : kinds;
  if (named.length !== 1) {
    const what = named.length === 0 ? 'is missing' : `is one too many: ${named.join(', ')}`;
    return { decoder: undefined, problems: [{ path: [], message: `one of struct, json, csv, utf8 ${what}` }] };
  }
  const failedTopic = failedTopicOf(group, facts, problems);
  const decoder = withBody(group, facts, problems, failedTopic);
  return { decoder: problems.length === 0 ? decoder : undefined, problems };
}

function groupOf(word: 'utf8' | 'json'): RuleGroup {
  return word === 'utf8' ? { utf8: true } : { json: {} };
}

function withBody(group: RuleGroup, facts: FrameFacts, problems: RuleProblem[], failedTopic: string): Decoder {
  const finish = <Read>(body: Body<Read>): Decoder => decoderOf(body, group, problems, failedTopic);
  if (group.struct !== undefined) return finish(compileStruct(group.struct, facts.frameBytes, problems));
  if (group.json !== undefined) return finish(compileJson(group.json, problems));
  if (group.csv !== undefined) return finish(compileCsv(group.csv, problems));
  return finish(TEXT);
}

const NOT_UTF8 = new Misfit('the frame is not UTF-8');

const TEXT: Body<Buffer> = {
  words: 'utf8',
  read: (frame) => (isUtf8(frame) ? frame : NOT_UTF8),
  value: (frame) => frame,
  textOf: () => undefined,
  names: [],
  units: {},
};

function failedTopicOf({ failed }: RuleGroup, { topic }: FrameFacts, problems: RuleProblem[]): string {
  const name = failed?.topic ?? topic + FAILED_SUFFIX;
  if (name === topic) {
    problems.push({
      path: ['failed', 'topic'],
      message: 'is the topic of the records: who reads it expects what fits',
    });
  } else if (isRefusal(parseTopicName(name))) {
    problems.push({ path: [], message: `${name} is too long for a topic's name: say failed: {topic: ...}` });
  }
  return name;
}

function decoderOf<Read>(body: Body<Read>, group: RuleGroup, problems: RuleProblem[], failedTopic: string): Decoder {
  // Once there is a mistake, its fields are not all known: what names them would be called wrong, too.
  const isSound = problems.length === 0;
  const keyOf = group.key === undefined || !isSound ? undefined : compileKey(group.key, body, problems);
  const timeOf = group.time === undefined || !isSound ? undefined : compileTime(group.time, body, problems);
  const units = Object.keys(body.units).length === 0 ? undefined : JSON.stringify(body.units);

  function decode(frame: Buffer, arrivalMs: number, origin: Origin): Decoded {
    const read = body.read(frame);
    if (read instanceof Misfit) return { kind: 'misfit', reason: read.reason };
    const written = body.value(read);
    if (written === undefined) return { kind: 'heading' };
    const value = typeof written === 'string' ? Buffer.from(written) : written;
    if (value.length > VALUE_BYTES_MAX) return tooLong('value', value.length, VALUE_BYTES_MAX);
    const text = keyOf?.(read, origin);
    const key = text === undefined ? undefined : Buffer.from(text);
    if (key !== undefined && key.length > KEY_BYTES_MAX) return tooLong('key', key.length, KEY_BYTES_MAX);
    const time = timeOf?.(read, arrivalMs);
    const [timestampMs, doubt] = typeof time === 'string' ? [undefined, time] : [time, undefined];
    return { kind: 'record', value, key, timestampMs, doubt };
  }

  return { words: body.words, failedTopic, units, decode };
}

function tooLong(what: string, bytes: number, max: number): Decoded {
  return { kind: 'misfit', reason: `the ${what} would have ${bytes} bytes, and at most ${max} fit` };
}
