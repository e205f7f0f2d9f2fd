// The arrows of the plan in src/README.md: who may import whom, no circle, no orphan, single importers, one clock, and the
// small rules that a reader relies on. It reads the sources as text.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');

/** Besides the ground (files directly in src that are not listed here), what each room may import. */
const ROOMS: Record<string, string[]> = {
  formats: [],
  decode: [],
  store: ['formats'],
  times: [],
  log: ['formats', 'store', 'times'],
  wear: ['store'],
  intake: ['formats', 'log'],
  commands: ['formats', 'log', 'intake'],
  groups: ['formats', 'log'],
  transactions: ['formats', 'log'],
  mqtt: ['formats', 'intake', 'store', 'log'],
  serial: ['formats', 'decode', 'intake', 'commands', 'log'],
  kafka: ['formats', 'log', 'groups', 'transactions'],
  mirror: ['formats', 'log'],
  http: ['formats', 'log', 'groups', 'transactions', 'wear', 'times'],
  doctor: ['http'],
  cli: ['formats', 'doctor', 'serial', 'decode', 'headwater.ts', 'closed-node.ts', 'systemd.ts'],
  'headwater.ts': [
    'store',
    'times',
    'log',
    'intake',
    'commands',
    'groups',
    'transactions',
    'mqtt',
    'serial',
    'kafka',
    'mirror',
    'http',
    'formats',
    'wear',
    'doctor',
  ],
  'closed-node.ts': ['store', 'times', 'log', 'http', 'wear', 'doctor'],
  'systemd.ts': [],
  'main.ts': ['cli'],
};

/** What doors take from rooms that they reach through functions: types only. */
const TYPES_ONLY: Record<string, string[]> = {
  mqtt: ['log'],
  serial: ['log', 'commands'],
  intake: [],
  wear: ['store'],
  http: ['groups', 'transactions', 'times', 'wear'],
  doctor: ['http'],
  cli: ['doctor'],
};

/** They open rooms, and may reach into them. */
const COMPOSITION_ROOTS = ['headwater.ts', 'closed-node.ts'];

/** Packages that one file alone imports. */
const SINGLE_IMPORTERS: Record<string, string> = {
  aedes: 'mqtt/mqtt.ts',
  serialport: 'serial/port.ts',
  'classic-level': 'store/level.ts',
};

interface Import {
  from: string;
  to: string;
  isType: boolean;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const texts = new Map(files.map((file) => [file, readFileSync(join(SRC, file), 'utf8')]));
const imports: Import[] = files.flatMap(importsOf);
const inner = imports.filter(({ to }) => texts.has(to));

function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const pattern = /(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|import\('([^']+)'\)/g;
  for (const [, isType, fixed, lazy] of texts.get(file)!.matchAll(pattern)) {
    const target = (fixed ?? lazy)!;
    const to = target.startsWith('.') ? relative(SRC, join(SRC, dirname(file), target)) : target;
    found.push({ from: file, to, isType: isType !== undefined });
  }
  return found;
}

function roomOf(file: string): string | undefined {
  const [first] = file.split('/') as [string];
  return first in ROOMS ? first : undefined;
}

test('each room imports only what the plan allows', () => {
  const broken = inner.filter(({ from, to, isType }) => {
    const [room, other] = [roomOf(from), roomOf(to)];
    if (other === undefined || room === other) return false;
    if (room === undefined) return true;
    if (!ROOMS[room]!.includes(other)) return true;
    return (TYPES_ONLY[room] ?? []).includes(other) && !isType;
  });
  expect(broken.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
});

test('a room is entered by the file that bears its name', () => {
  const shelves = ['formats', 'cli'];
  const broken = inner.filter(({ from, to, isType }) => {
    const other = roomOf(to);
    if (other === undefined || other === roomOf(from) || shelves.includes(other) || other.endsWith('.ts')) return false;
    return to !== `${other}/${other}.ts` && !isType && !COMPOSITION_ROOTS.includes(from);
  });
  expect(broken.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
});

test('no file imports itself over others', () => {
  const values = inner.filter((each) => !each.isType);
  const state = new Map<string, 'open' | 'done'>();
  function circle(file: string, path: string[]): string[] | undefined {
    if (state.get(file) === 'done') return undefined;
    if (state.get(file) === 'open') return [...path.slice(path.indexOf(file)), file];
    state.set(file, 'open');
    for (const { to } of values.filter((each) => each.from === file)) {
      const found = circle(to, [...path, file]);
      if (found !== undefined) return found;
    }
    state.set(file, 'done');
    return undefined;
  }
  for (const file of files) expect(circle(file, [])).toBeUndefined();
});

test('no file is an orphan', () => {
  const imported = new Set(inner.map(({ to }) => to));
  expect(files.filter((file) => file !== 'main.ts' && !imported.has(file))).toEqual([]);
});

test('packages with an effect on the house have one importer each', () => {
  for (const [name, importer] of Object.entries(SINGLE_IMPORTERS)) {
    const importers = new Set(
      imports.filter(({ to }) => to === name || to.startsWith(`${name}/`)).map(({ from }) => from),
    );
    expect([...importers]).toEqual([importer]);
  }
});

test('only clock.ts asks for the time', () => {
  const pattern =
    /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|(?<!\.)\bsetTimeout\(|(?<!\.)\bsetInterval\(|\bprocess\.hrtime/;
  // The page's script runs in a browser, by that clock.
  const apart = ['clock.ts', 'http/page.ts'];
  expect(files.filter((file) => !apart.includes(file) && pattern.test(texts.get(file)!))).toEqual([]);
});

test('only main.ts ends the process and listens to signals', () => {
  const pattern = /\bprocess\.exit\(|\bprocess\.on\('SIG/;
  expect(files.filter((file) => file !== 'main.ts' && pattern.test(texts.get(file)!))).toEqual([]);
});

test('every file opens with what it is', () => {
  expect(files.filter((file) => !/^(#!.*\n)?\/\/ /.test(texts.get(file)!))).toEqual([]);
});

test('file names say what they are, and no file is too long to read', () => {
  const vague = /(^|[/-])(utils?|helpers?|common|misc|managers?|services?|base|abstract|impl|index)([.-]|$)/;
  expect(files.filter((file) => vague.test(file) || !/^[a-z0-9-]+(\/[a-z0-9-]+)*\.ts$/.test(file))).toEqual([]);
  expect(files.filter((file) => texts.get(file)!.split('\n').length > 500)).toEqual([]);
});

test('no marker of unfinished work is left', () => {
  expect(files.filter((file) => /\b(TODO|FIXME|XXX|HACK)\b/.test(texts.get(file)!))).toEqual([]);
});

test('what is a program of its own, the torture test, keeps to the same rules, and each file of it is used', () => {
  const folder = join(ROOT, 'test/torture');
  const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const own = new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
  const imported = new Set(
    [...own.values()].flatMap((text) => [...text.matchAll(/'\.\/([a-z-]+\.ts)'/g)].map(([, to]) => to!)),
  );
  const roots = ['torture.ts', 'torture.long.ts'];
  expect(names.filter((name) => !roots.includes(name) && !imported.has(name))).toEqual([]);
  expect(names.filter((name) => !own.get(name)!.startsWith('// '))).toEqual([]);
  expect(names.filter((name) => own.get(name)!.split('\n').length > 250)).toEqual([]);
  expect(names.filter((name) => /\b(TODO|FIXME|XXX|HACK)\b/.test(own.get(name)!))).toEqual([]);
});
