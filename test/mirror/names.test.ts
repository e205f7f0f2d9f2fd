import { expect, test } from 'vitest';
import { isMirrored, upstreamName } from '../../src/mirror/names.ts';

test.each([
  [['*'], 'readings', true],
  [['*'], '__internal', false],
  [['plant-*', 'boiler'], 'plant-7', true],
  [['plant-*', 'boiler'], 'boiler', true],
  [['plant-*', 'boiler'], 'boiler-2', false],
  [['a.b'], 'axb', false],
  [['line-?'], 'line-1', true],
  [['line-?'], 'line-10', false],
  [['__*'], '__internal', false],
  [['a'], 'headwater.gaps', true],
])('%j takes %s: %s', (patterns, topic, taken) => {
  expect(isMirrored(patterns, topic)).toBe(taken);
});

test('the name upstream is filled in from the template, and nothing in it is taken for a template again', () => {
  expect(upstreamName('{node}.{topic}', 'pump-7', 'readings')).toBe('pump-7.readings');
  expect(upstreamName('{topic}', 'pump-7', 'readings')).toBe('readings');
  expect(upstreamName('{node}.{topic}', '{topic}', '$&')).toBe('{topic}.$&');
});
