// What docs/serial-decoding.md promises.

import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { compileRule } from '../../src/decode/decode.ts';
import { ruleOnPage, structExample } from './page.ts';
import { ARRIVAL_MS, decode, valueOf } from './rules.ts';

test('the struct of the page becomes the JSON of the page', () => {
  const { config, frame, value } = structExample();
  const rule = loadConfig({ tree: config }).serial[0]!.decode;
  const { decoder, problems } = compileRule(rule, { topic: 'energy', frameBytes: frame.length });
  expect(problems).toEqual([]);
  const decoded = decoder!.decode(frame, ARRIVAL_MS, { port: 'meter' });
  expect(decoded).toMatchObject({
    kind: 'record',
    key: Buffer.from('meter/7'),
    timestampMs: Date.UTC(2026, 0, 31, 6),
    doubt: undefined,
  });
  expect(String((decoded as { value: Buffer }).value)).toBe(value);
});

test('the CSV and the JSON of the page become what it says', () => {
  const line = '2026-01-31 06:00:00;k1;+021,50;1';
  const value = '{"ts":"2026-01-31 06:00:00","sensor":"k1","t":21.50,"ok":true}';
  expect(decode(ruleOnPage('csv'), line)).toMatchObject({
    key: Buffer.from('k1'),
    timestampMs: Date.UTC(2026, 0, 31, 6),
    value: Buffer.from(value),
  });
  const text = '{"unit": "C", "sensors": [{"temp": 21.50}]}';
  expect(valueOf(ruleOnPage('json'), text)).toBe('{"t":21.50,"unit":"C"}');
});
