// What docs/durability.md says is shown by tests: each that it names is there, and each row of its tables names one.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const PAGE = readFileSync(join(ROOT, 'docs/durability.md'), 'utf8');
/** A test that is named without its folder lies here: the page says so above the table. */
const SHORT_NAMES_IN = 'test/store/damage';
const NAME = /(?<![\w./-])([\w./-]+\.(?:test|long)\.ts)\b/g;

function namesIn(text: string): string[] {
  return [...text.matchAll(NAME)].map(([, name]) => name!);
}

test('every test that the page names is there', () => {
  const names = namesIn(PAGE);
  expect(names.length).toBeGreaterThan(50);
  const paths = names.map((name) => (name.includes('/') ? name : `${SHORT_NAMES_IN}/${name}`));
  const folders = [...PAGE.matchAll(/\btest\/[\w/-]+(?![\w./-])/g)].map(([folder]) => folder);
  expect([...paths, ...folders].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test('every row of its tables names a test in its last column', () => {
  const cells = PAGE.split('\n').flatMap((line) => (line.startsWith('|') ? [line.split('|').at(-2)!.trim()] : []));
  const claims = cells.filter((cell) => cell !== 'shown by' && !cell.startsWith('---'));
  expect(claims.length).toBeGreaterThan(30);
  expect(claims.filter((cell) => !/\.(test|long)\.ts\b|\btest\//.test(cell))).toEqual([]);
});
