import { expect, test } from 'vitest';
import { createFilterTree, createTopicTree, filterFault, isMatch, topicFault } from '../../src/mqtt/topics.ts';

const BOUNDS = { topicBytesMax: 100, topicLevelsMax: 5 };

// MQTT 3.1.1 section 4.7: filter, topic, whether it matches.
const CASES: [filter: string, topic: string, matches: boolean][] = [
  ['a', 'a', true],
  ['a', 'b', false],
  ['a/b', 'a/b', true],
  ['a/+', 'a/b', true],
  ['a/+', 'a', false],
  ['a/+', 'a/', true],
  ['a/+', 'a/b/c', false],
  ['+', 'a', true],
  ['+', '/a', false],
  ['+/+', '/a', true],
  ['/+', '/a', true],
  ['+/b/+', 'a/b/c', true],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['a/#', 'ab', false],
  ['#', 'a/b', true],
  ['#', '/', true],
  ['#', '$SYS/a', false],
  ['+/a', '$SYS/a', false],
  ['$SYS/#', '$SYS/a', true],
  ['$SYS/+', '$SYS/a', true],
  ['a/$b/+', 'a/$b/c', true],
  ['+/$b', 'a/$b', true],
  ['__proto__/+', '__proto__/constructor', true],
];

test.each(CASES)('%s and %s: %s', (filter, topic, matches) => {
  const filters = createFilterTree<string>();
  filters.add(filter, 'x');
  const seen: string[] = [];
  filters.match(topic, (value) => seen.push(value));
  const topics = createTopicTree();
  topics.add(topic);
  expect(isMatch(filter, topic)).toBe(matches);
  expect(filters.has(topic)).toBe(matches);
  expect(seen).toEqual(matches ? ['x'] : []);
  expect([...topics.match(filter)]).toEqual(matches ? [topic] : []);
});

test('a tree is empty again when all was removed, and its generation tells each change', () => {
  const filters = createFilterTree<string>();
  for (const [filter] of CASES) filters.add(filter, filter);
  const { generation } = filters;
  filters.remove('a/nothing', 'x');
  expect(filters.generation).toBe(generation);
  for (const [filter] of CASES) filters.remove(filter, filter);
  expect(filters.isEmpty()).toBe(true);
  expect(filters.generation).toBeGreaterThan(generation);
});

test('values under one filter come and go one by one', () => {
  const filters = createFilterTree<string>();
  filters.add('a/+', 'x');
  filters.add('a/+', 'y');
  filters.add('a/b/c', 'z');
  filters.remove('a/+', 'x');
  const seen: string[] = [];
  filters.match('a/b', (value) => seen.push(value));
  expect(seen).toEqual(['y']);
});

test('a topic tree forgets names without losing those above and below', () => {
  const topics = createTopicTree();
  for (const topic of ['a', 'a/b', 'a/b/c']) topics.add(topic);
  topics.remove('a/b');
  topics.remove('a/x');
  expect([...topics.match('#')]).toEqual(['a', 'a/b/c']);
  expect(topics.size).toBe(2);
});

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

test.each([
  ['a/b', undefined],
  ['', 'empty'],
  ['a'.repeat(101), 'too long'],
  ['a/b/c/d/e', undefined],
  ['a/b/c/d/e/f', 'too many levels'],
  ['a+', 'wildcard'],
  ['a\x00', 'control character'],
  ['a\x7f', 'control character'],
  ['a\xc2\x80', 'control character'],
  ['a\xc2\xa0', undefined],
  ['\xe2\x82\xac', undefined],
  ['\xe2\x82', 'not UTF-8'],
  ['\xed\xa0\x80', 'not UTF-8'],
  ['\xc0\x80', 'not UTF-8'],
  ['\xf4\x90\x80\x80', 'not UTF-8'],
])('topic %j: %s', (topic, fault) => {
  expect(topicFault(bytes(topic), 0, topic.length, BOUNDS)).toBe(fault);
});

test.each([
  ['#', undefined],
  ['+', undefined],
  ['a/+/b/#', undefined],
  ['a+/b', 'wildcard'],
  ['a/+b', 'wildcard'],
  ['a/#/b', 'wildcard'],
  ['a#', 'wildcard'],
  ['##', 'wildcard'],
])('filter %j: %s', (filter, fault) => {
  expect(filterFault(bytes(filter), 0, filter.length, BOUNDS)).toBe(fault);
});
