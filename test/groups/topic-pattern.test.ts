import { expect, test } from 'vitest';
import { matcherOf, PatternError } from '../../src/groups/incremental/topic-pattern.ts';

const NAMES = ['a', 'b', 'ab', 'abc', 'A', 'site.a', 'site.b', 'site-1', 'site-22', 'x_y', '0', ''];

/** JavaScript's own expressions agree with RE2's for these; the whole name must match. */
const SAME = [
  'a',
  'ab?c?',
  'site\\..*',
  'site\\.[ab]',
  '[^s].*',
  'site-\\d+',
  'site-\\d{2}',
  'site-\\d{1,2}',
  'site-\\d{2,}',
  '\\w+',
  '(?:a|b)+',
  '(a|ab)(c|bcd)?',
  '^a.*$',
  '(a*)*',
  '(a*)+b',
  'a||b',
  '[a-c]+?',
  '[]a]+'.replace('[]', '[\\]'),
  '[\\d_-]|x_y',
  '.{3}',
  '',
  'x\\x5fy',
];

test.for(SAME)('%s matches what it should', (pattern) => {
  const expected = NAMES.filter((name) => new RegExp(`^(?:${pattern})$`).test(name));
  expect(NAMES.filter(matcherOf(pattern))).toEqual(expected);
});

test('what only RE2 has', () => {
  expect(NAMES.filter(matcherOf('(?i)A'))).toEqual(['a', 'A']);
  expect(NAMES.filter(matcherOf('(?i:a)B?'))).toEqual(['a', 'A']);
  expect(NAMES.filter(matcherOf('\\Asite.*\\z'))).toHaveLength(4);
  expect(NAMES.filter(matcherOf('\\Qsite.\\Ea'))).toEqual(['site.a']);
  expect(NAMES.filter(matcherOf('(?P<first>s)ite-1'))).toEqual(['site-1']);
  expect(NAMES.filter(matcherOf('[]a]'))).toEqual(['a']);
});

test.for([
  '(',
  ')',
  '[a',
  '*a',
  'a**',
  '\\',
  '\\p{L}',
  '(?=a)',
  '[b-a]',
  'a{5,2}',
  '(((a{100}){100}){100}){100}',
  'a'.repeat(1001),
])('%s is refused with words', (pattern) => {
  expect(() => matcherOf(pattern)).toThrow(PatternError);
});

test('a pattern that is made to last does not', () => {
  const startMs = performance.now();
  expect(matcherOf('(a*)*(a*)*(a|aa)*(a|a?)+b')('a'.repeat(249))).toBe(false);
  expect(performance.now() - startMs).toBeLessThan(5000);
});
