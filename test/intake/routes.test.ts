import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors.ts';
import {
  DEFAULT_RULES,
  parseRoute,
  targetOf,
  topicNameOf,
  type RouteRule,
  type Target,
} from '../../src/intake/routes.ts';

function route(rules: RouteRule | readonly RouteRule[], mqttTopic: string): Target | undefined {
  const routes = [rules].flat().map((rule) => parseRoute(rule));
  return targetOf(routes, mqttTopic, 'pump-7');
}

function refusal(rule: RouteRule): string {
  try {
    parseRoute(rule);
  } catch (error) {
    if (error instanceof HeadwaterError && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('the rule was taken');
}

test('without rules everything goes to topic mqtt with the MQTT topic as key and no header', () => {
  expect(route(DEFAULT_RULES, 'plant/a/1')).toEqual({
    topic: 'mqtt',
    key: 'plant/a/1',
    partition: undefined,
    headers: [],
  });
});

test('named wildcards fill the key, and a header tells the MQTT topic that the key does not', () => {
  const rule = { mqtt: 'plant/+line/+machine/#', topic: 'readings', key: '{line}/{machine}' };
  expect(route(rule, 'plant/hall/press/temp/1')).toEqual({
    topic: 'readings',
    key: 'hall/press',
    partition: undefined,
    headers: [['mqtt.topic', 'plant/hall/press/temp/1']],
  });
});

test.each([
  ['plant/+/temp', 'plant/a/temp', true],
  ['plant/+/temp', 'plant/a/b/temp', false],
  ['plant/+/temp', 'plant//temp', true],
  ['plant/+', 'plant', false],
  ['plant/#', 'plant', true],
  ['plant/#', 'plant/a/b', true],
  ['plant/#', 'plants/a', false],
  ['plant', 'plant/a', false],
  ['#', '/a', true],
  ['+/a', '/a', true],
  ['+', '/a', false],
  ['#', '$SYS/uptime', false],
  ['+/uptime', '$SYS/uptime', false],
])('the filter %s and the topic %s', (mqtt, mqttTopic, isTaken) => {
  expect(route({ mqtt, topic: 't' }, mqttTopic) !== undefined).toBe(isTaken);
});

test('a named rest holds all remaining levels, and none is an empty text', () => {
  const rule = { mqtt: 'a/#rest', topic: 't', key: '<{rest}>' };
  expect(route(rule, 'a/b/c')?.key).toBe('<b/c>');
  expect(route(rule, 'a')?.key).toBe('<>');
});

test('the first rule that matches takes the message', () => {
  const rules = [
    { mqtt: 'a/b', topic: 'first' },
    { mqtt: 'a/+', topic: 'second' },
  ];
  expect(route(rules, 'a/b')?.topic).toBe('first');
  expect(route(rules, 'a/c')?.topic).toBe('second');
  expect(route(rules, 'b/c')).toBeUndefined();
});

test('node and headers are added as the rule asks', () => {
  const rule = {
    mqtt: '+site/#',
    topic: 't',
    node: true,
    headers: { site: 'site {site}', from: '{mqttTopic}@{node}' },
  };
  expect(route(rule, 'x/y')?.headers).toEqual([
    ['site', 'site x'],
    ['from', 'x/y@pump-7'],
    ['node', 'pump-7'],
  ]);
});

test('a wildcard in the topic is made a legal topic name', () => {
  const rule = { mqtt: '+line/#', topic: 'line-{line}', partition: 3 };
  expect(route(rule, 'a b:ü/x')).toMatchObject({ topic: 'line-a_b__', partition: 3 });
  expect(route({ mqtt: '+line/#', topic: '{line}' }, '/x')?.topic).toBe('_');
  expect(route({ mqtt: '+line/#', topic: '{line}' }, '__proto__/x')?.topic).toBe('_proto__');
  expect(topicNameOf('..')).toBe('_');
  expect(topicNameOf('x'.repeat(300))).toHaveLength(249);
});

test('the names of objects are ordinary text in topics', () => {
  const rule = { mqtt: '+a/+b', topic: 't', key: '{a}|{b}' };
  expect(route(rule, '__proto__/constructor')?.key).toBe('__proto__|constructor');
});

test.each<[RouteRule, RegExp]>([
  [{ mqtt: '', topic: 't' }, /filter is empty/],
  [{ mqtt: '#', topic: '' }, /topic is empty/],
  [{ mqtt: 'a/#/b', topic: 't' }, /# may only be the last level/],
  [{ mqtt: 'a/b+/c', topic: 't' }, /whole level/],
  [{ mqtt: 'a/+b!/c', topic: 't' }, /a name is a letter/],
  [{ mqtt: '+a/+a', topic: 't' }, /used twice/],
  [{ mqtt: '+node/x', topic: 't' }, /built-in/],
  [{ mqtt: '$SYS/#', topic: 't' }, /never taken/],
  [{ mqtt: '+line/+machine', topic: 't', key: '{lien}' }, /did you mean \{line\}\?/],
  [{ mqtt: '+line', topic: 't', key: '{unheard}' }, /known are \{mqttTopic\}, \{node\}, \{line\}/],
  [{ mqtt: '+line', topic: 't', key: '{}' }, /has \{\}/],
  [{ mqtt: '+line', topic: 't', key: '{line' }, /brace without its partner/],
  [{ mqtt: '#', topic: 'plant/a' }, /plant_a would be one/],
  [{ mqtt: '#', topic: 't', partition: -1 }, /whole number/],
  [{ mqtt: '+line', topic: 't', headers: { where: '{Line2}' } }, /header where .*did you mean \{line\}/],
])('the rule %j is refused with a helpful message', (rule, message) => {
  expect(refusal(rule)).toMatch(message);
});
