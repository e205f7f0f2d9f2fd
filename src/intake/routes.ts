// Routes: which log topic, key and headers an MQTT message gets. Pure: text in, text out, no I/O and no state.
//
// A rule's filter is an MQTT filter whose wildcards may have names: `+name` stands for one level, a last `#name` for all
// that remain (none included, as in MQTT 3.1.1 paragraph 4.7.1.2); plain `+` and `#` match without a name. Topic, key
// and header values are templates: `{name}` is what the wildcard matched, `{mqttTopic}` the whole MQTT topic, `{node}`
// the name of this node. The first rule that matches takes the message; MQTT topics that begin with `$` are the
// broker's own and no rule takes them. Without a `key` the MQTT topic is the key.

import { HeadwaterError } from '../errors.ts';

export interface RouteRule {
  /** MQTT filter with optionally named wildcards: `plant/+line/+machine/#`. */
  mqtt: string;
  /** Template of the log topic. What a wildcard matched is made fit for a topic name, see `topicNameOf`. */
  topic: string;
  /** Template of the record's key. Default: the MQTT topic. */
  key?: string;
  /** Fixed partition. Default: murmur2 of the key, as Kafka's Java client. */
  partition?: number;
  /** True adds the header `node` with the name of this node. */
  node?: boolean;
  /** More headers; the values are templates. */
  headers?: Record<string, string>;
}

/** A part of a template: fixed text, or the number of a value (see `valuesOf`). */
type Part = string | number;

type Level = { kind: 'literal'; text: string } | { kind: 'one' } | { kind: 'rest' };

/** A rule that was checked, in the form that is matched. */
export interface Route {
  rule: RouteRule;
  levels: Level[];
  topic: Part[];
  /** Undefined: the MQTT topic. */
  key: Part[] | undefined;
  headers: [name: string, value: Part[]][];
}

/** Where a message goes. */
export interface Target {
  topic: string;
  key: string;
  partition: number | undefined;
  headers: [name: string, value: string][];
}

/** Kafka's bound on the length of a topic name. */
export const TOPIC_NAME_MAX = 249;

/** The rule that stands when none is configured: everything into topic `mqtt`, with the MQTT topic as key. */
export const DEFAULT_RULES: readonly RouteRule[] = [{ mqtt: '#', topic: 'mqtt' }];

const WILDCARD_NAME = /^[A-Za-z][\w-]*$/;
const BUILT_IN = ['mqttTopic', 'node'];

/** Checks one rule. Throws CONFIG_INVALID, saying what is wrong with which part and, where a name is near, which was meant. */
export function parseRoute(rule: RouteRule): Route {
  const names = [...BUILT_IN];
  const levels = parseFilter(rule, names);
  if (rule.topic === '') throw invalid(rule, 'its topic is empty');
  const topic = parseTemplate(rule, 'topic', rule.topic, names);
  checkFixedTopic(rule, topic);
  const key = rule.key === undefined ? undefined : parseTemplate(rule, 'key', rule.key, names);
  if (rule.partition !== undefined && !(Number.isInteger(rule.partition) && rule.partition >= 0)) {
    throw invalid(rule, `partition ${rule.partition} is not a whole number from 0 up`);
  }
  const headers = Object.entries(rule.headers ?? {}).map(([name, value]): [string, Part[]] => {
    return [name, parseTemplate(rule, `header ${name}`, value, names)];
  });
  if (rule.node === true) headers.push(['node', [BUILT_IN.indexOf('node')]]);
  return { rule, levels, topic, key, headers };
}

/**
 * Where the first matching route sends a message, undefined if none takes it. The header `mqtt.topic` is added when the
 * key is not the MQTT topic itself, so that a consumer can always tell it.
 */
export function targetOf(routes: readonly Route[], mqttTopic: string, nodeName: string): Target | undefined {
  if (mqttTopic.startsWith('$')) return undefined;
  const levels = mqttTopic.split('/');
  for (const route of routes) {
    const values = valuesOf(route, levels, mqttTopic, nodeName);
    if (values !== undefined) return fill(route, values, mqttTopic);
  }
  return undefined;
}

/**
 * A legal topic name made of `text`: each character outside `a-zA-Z0-9._-` becomes `_` (so `a/b` and `a_b` share a
 * topic; the header or the key tells them apart), leading underscores beyond one go (two are Kafka's own topics), no
 * more than 249 characters are kept, and an empty name, `.` and `..` become `_`.
 */
export function topicNameOf(text: string): string {
  const legal = text
    .replaceAll(/[^\w.-]/g, '_')
    .replace(/^__+/, '_')
    .slice(0, TOPIC_NAME_MAX);
  return legal === '' || legal === '.' || legal === '..' ? '_' : legal;
}

function fill(route: Route, values: string[], mqttTopic: string): Target {
  const key = route.key === undefined ? mqttTopic : render(route.key, values);
  const headers: Target['headers'] = route.headers.map(([name, parts]) => [name, render(parts, values)]);
  if (key !== mqttTopic) headers.push(['mqtt.topic', mqttTopic]);
  const isFixed = route.topic.every((part) => typeof part === 'string');
  const topic = isFixed ? route.topic.join('') : topicNameOf(render(route.topic, values));
  return { topic, key, partition: route.rule.partition, headers };
}

/** The values of a template's numbers: the built-in ones, then what each wildcard matched. Undefined: no match. */
function valuesOf(route: Route, levels: string[], mqttTopic: string, nodeName: string): string[] | undefined {
  const values = [mqttTopic, nodeName];
  for (const [index, level] of route.levels.entries()) {
    if (level.kind === 'rest') {
      values.push(levels.slice(index).join('/'));
      return values;
    }
    const text = levels[index];
    if (text === undefined) return undefined;
    if (level.kind === 'one') values.push(text);
    else if (level.text !== text) return undefined;
  }
  return levels.length === route.levels.length ? values : undefined;
}

function render(parts: Part[], values: string[]): string {
  let text = '';
  for (const part of parts) text += typeof part === 'string' ? part : (values[part] ?? '');
  return text;
}

/** The levels of a filter; the name of each wildcard, or '' for one without, is added to `names`. */
function parseFilter(rule: RouteRule, names: string[]): Level[] {
  if (rule.mqtt === '') throw invalid(rule, 'its filter is empty; `#` takes every topic');
  if (rule.mqtt.startsWith('$')) throw invalid(rule, 'MQTT topics that begin with $ are never taken');
  const texts = rule.mqtt.split('/');
  return texts.map((text, index): Level => {
    const sign = text.charAt(0);
    if (sign !== '+' && sign !== '#') {
      if (/[+#]/.test(text)) throw invalid(rule, `in ${text} the wildcard must come first and stand for a whole level`);
      return { kind: 'literal', text };
    }
    if (sign === '#' && index !== texts.length - 1) throw invalid(rule, `${text} may only be the last level`);
    names.push(wildcardName(rule, text, names));
    return { kind: sign === '+' ? 'one' : 'rest' };
  });
}

function wildcardName(rule: RouteRule, text: string, names: string[]): string {
  const name = text.slice(1);
  if (name === '') return name;
  if (!WILDCARD_NAME.test(name)) {
    throw invalid(rule, `${text} is no wildcard: a name is a letter, then letters, digits, _ or -`);
  }
  if (names.includes(name)) throw invalid(rule, `the name ${name} is used twice or is a built-in one`);
  return name;
}

function parseTemplate(rule: RouteRule, where: string, template: string, names: string[]): Part[] {
  const parts: Part[] = [];
  // Split keeps what the parentheses catch: texts stand at even places, names between braces at odd ones.
  for (const [index, piece] of template.split(/\{([^{}]*)\}/).entries()) {
    if (index % 2 === 1) parts.push(numberOf(rule, where, piece, names));
    else if (/[{}]/.test(piece)) throw invalid(rule, `its ${where} has a brace without its partner`);
    else if (piece !== '') parts.push(piece);
  }
  return parts;
}

function numberOf(rule: RouteRule, where: string, name: string, names: string[]): number {
  const number = name === '' ? -1 : names.indexOf(name);
  if (number >= 0) return number;
  const known = names.filter((name) => name !== '');
  const near = known.find((known) => isNear(name.toLowerCase(), known.toLowerCase()));
  const hint =
    near === undefined ? `known are ${known.map((name) => `{${name}}`).join(', ')}` : `did you mean {${near}}?`;
  throw invalid(rule, `its ${where} has {${name}}, which nothing in the filter names; ${hint}`);
}

function checkFixedTopic(rule: RouteRule, topic: Part[]): void {
  const isFixed = topic.every((part) => typeof part === 'string');
  if (isFixed && topicNameOf(rule.topic) !== rule.topic) {
    throw invalid(rule, `${rule.topic} is no topic name; ${topicNameOf(rule.topic)} would be one`);
  }
}

/** True when one text becomes the other by at most two insertions, removals or replacements (one for short names). */
function isNear(left: string, right: string): boolean {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let at = 0; at < left.length; at += 1) {
    const next = [at + 1];
    for (let to = 0; to < right.length; to += 1) {
      const cost = left[at] === right[to] ? 0 : 1;
      next.push(Math.min((row[to] ?? 0) + cost, (row[to + 1] ?? 0) + 1, (next[to] ?? 0) + 1));
    }
    row = next;
  }
  return (row[right.length] ?? Infinity) <= (right.length <= 3 ? 1 : 2);
}

function invalid(rule: RouteRule, what: string): HeadwaterError {
  return new HeadwaterError('CONFIG_INVALID', `route ${JSON.stringify(rule.mqtt)}: ${what}`);
}
