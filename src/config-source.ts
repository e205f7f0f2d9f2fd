// Where settings come from: one YAML file, and variables of the environment laid over it. The result is one plain tree,
// still as people wrote it, and the way from a place in that tree back to the line or variable it came from.

import * as v from 'valibot';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import { parse as parseYaml } from 'yaml';
import { isGuarding, shapeOf } from './config-setting.ts';
import { nearest } from './config-units.ts';
import { messageOf } from './errors.ts';

/** A place in the configuration: `['serial', 0, 'topic']`. */
export type ConfigPath = readonly (string | number)[];

export interface Problem {
  path: ConfigPath;
  message: string;
  /** True when the name is wrong, not the value. */
  isName?: boolean;
  /** True when the message is a sentence of its own, and does not go on from the setting's name. */
  isSentence?: boolean;
  /** The place, where the path cannot tell it. */
  at?: string;
}

/** The tree before it is checked, and where its parts came from. */
export interface Source {
  /** Name of the file, or a word for what stands in its place. */
  name: string;
  /** False when the file is not YAML: then nothing more can be said about it. */
  isReadable: boolean;
  tree: unknown;
  problems: Problem[];
  /** `headwater.yaml:3:9`, `HEADWATER_MQTT__LISTEN`, or undefined for a default. The deepest part of `path` that exists counts. */
  originOf(path: ConfigPath, isName?: boolean): string | undefined;
  /** Sorts problems as a reader meets them. */
  rankOf(path: ConfigPath, isName?: boolean): number;
}

interface Position {
  line: number;
  col: number;
  /** How many steps of the path were found. */
  depth: number;
}

export interface Text {
  /** Name of the file, for messages. */
  name: string;
  text: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads a file's text (or takes a tree as it is) and lays the environment over it. Never throws: see `problems`. */
export function readSource(
  from: Text | { tree: unknown } | undefined,
  env: Environment,
  schema: v.GenericSchema,
): Source {
  const lines = new LineCounter();
  const document = from !== undefined && 'text' in from ? parseDocument(from.text, { lineCounter: lines }) : undefined;
  const name = from !== undefined && 'text' in from ? from.name : 'configuration';
  const problems: Problem[] = [];
  for (const error of document?.errors ?? []) {
    const { line, col } = lines.linePos(error.pos[0]);
    problems.push({ path: [], message: firstLine(error.message), at: `${name}:${line}:${col}` });
  }
  const written = document === undefined ? treeOf(from) : toTree(document, name, problems);
  const tree = withoutNulls(written ?? {}, schema);
  const overrides = new Map<string, string>();
  const isReadable = problems.length === 0;
  if (isReadable) overlay(tree, env, schema, overrides, problems);

  function position(path: ConfigPath, isName: boolean): Position | undefined {
    const found = document === undefined ? undefined : nodeAt(document, path, isName);
    return found === undefined ? undefined : { ...lines.linePos(found.offset), depth: found.depth };
  }

  function variableOf(path: ConfigPath): string | undefined {
    for (let length = path.length; length > 0; length -= 1) {
      const variable = overrides.get(keyOf(path.slice(0, length)));
      if (variable !== undefined) return variable;
    }
    return undefined;
  }

  return {
    name,
    isReadable,
    tree,
    problems,
    originOf(path, isName = false) {
      const variable = variableOf(path);
      if (variable !== undefined) return variable;
      const at = position(path, isName);
      return at === undefined ? undefined : `${name}:${at.line}:${at.col}`;
    },
    rankOf(path, isName = false) {
      const at = variableOf(path) === undefined ? position(path, isName) : undefined;
      return at === undefined ? Number.MAX_SAFE_INTEGER : at.line * 1e6 + at.col;
    },
  };
}

/** True when the tree has a value of its own at `path`. */
export function isGiven(tree: unknown, path: ConfigPath): boolean {
  let at = tree;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return false;
    at = (at as Record<string | number, unknown>)[step];
  }
  return true;
}

function treeOf(from: Text | { tree: unknown } | undefined): unknown {
  return from !== undefined && 'tree' in from ? structuredClone(from.tree) : {};
}

function toTree(document: Document, name: string, problems: Problem[]): unknown {
  if (problems.length > 0) return {};
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Aliases that multiply without end, or that lead nowhere.
    problems.push({ path: [], message: firstLine(messageOf(error)), at: name });
    return {};
  }
}

function firstLine(message: string): string {
  const line = (message.split('\n')[0] ?? message).replace(/ at line \d+, column \d+:?$/, '');
  // What it quotes may be a secret that begins with a star.
  return line.replace(/^(Unresolved (?:alias|tag)[^:]*):.*$/, '$1');
}

/** A name with nothing behind it (`mqtt:` with every line below it commented out) is the same as no name, see `guarding`. */
function withoutNulls(value: unknown, schema: v.GenericSchema | undefined): unknown {
  const shape = schema === undefined ? undefined : shapeOf(schema, value ?? undefined);
  if (Array.isArray(value)) {
    const item = shape?.kind === 'list' ? shape.item : undefined;
    return value.map((inner) => withoutNulls(inner, item));
  }
  if (typeof value !== 'object' || value === null) return value;
  const schemaOf = (key: string): v.GenericSchema | undefined => {
    if (shape?.kind === 'group') return shape.entries.get(key);
    return shape?.kind === 'map' ? shape.value : undefined;
  };
  const entries = Object.entries(value)
    .map(([key, inner]) => ({ key, inner: inner as unknown, known: schemaOf(key) }))
    .filter(({ inner, known }) => inner !== null || (known !== undefined && isGuarding(known)));
  return Object.fromEntries(entries.map(({ key, inner, known }) => [key, withoutNulls(inner, known)]));
}

interface FoundNode {
  offset: number;
  depth: number;
}

/** The deepest node on the way of `path`, or, with `isName`, the key at its end. */
function nodeAt(document: Document, path: ConfigPath, isName: boolean): FoundNode | undefined {
  let node: Node | null = document.contents;
  let found: FoundNode | undefined;
  for (let depth = 0; node !== null; depth += 1) {
    const at: Node | undefined = isAlias(node) ? node.resolve(document) : node;
    found = { offset: node.range?.[0] ?? 0, depth };
    const step = path[depth];
    if (step === undefined || at === undefined) break;
    const next = stepInto(at, step);
    if (next === undefined) break;
    if (isName && depth === path.length - 1) return { offset: next.key?.range?.[0] ?? found.offset, depth: depth + 1 };
    node = next.value;
  }
  return found;
}

function stepInto(node: Node, step: string | number): { key: Node | null; value: Node | null } | undefined {
  if (isSeq<Node>(node)) {
    const value = node.items[Number(step)];
    return value === undefined ? undefined : { key: null, value };
  }
  if (!isMap<Node, Node | null>(node)) return undefined;
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
  return pair === undefined ? undefined : { key: pair.key, value: pair.value };
}

function keyOf(path: ConfigPath): string {
  return JSON.stringify(path.map(String));
}

const PREFIX = 'HEADWATER_';

/**
 * Lays `HEADWATER_MQTT__LISTEN` and the like over the tree. Two underscores go one level down; case, dots
 * and single underscores do not count in the names of settings. A name that has no level below it and is not near to a section is
 * let pass: container platforms put variables such as HEADWATER_PORT into every environment.
 */
function overlay(
  tree: unknown,
  env: Environment,
  schema: v.GenericSchema,
  overrides: Map<string, string>,
  problems: Problem[],
): void {
  for (const variable of Object.keys(env).toSorted()) {
    const value = env[variable];
    if (!variable.startsWith(PREFIX) || value === undefined || NOT_SETTINGS.has(variable)) continue;
    const step = resolveVariable(variable, schema);
    if (step === undefined) continue;
    const outcome = 'refused' in step ? step : put(tree, step, value);
    if (outcome !== undefined) problems.push({ path: [], message: outcome.refused, at: variable });
    else if ('path' in step) overrides.set(keyOf(step.path), variable);
  }
}

/** Variables of the program that are not settings: the file itself, and where the command line finds the node. */
const NOT_SETTINGS = new Set(['HEADWATER_CONFIG', 'HEADWATER_URL', 'HEADWATER_TOKEN_FILE']);

/** The value of a field of a leaf: its own schema judges it, with the others. */
const anything = v.string();

interface Resolved {
  path: (string | number)[];
  schema: v.GenericSchema;
}

function resolveVariable(variable: string, root: v.GenericSchema): Resolved | { refused: string } | undefined {
  const segments = variable.slice(PREFIX.length).split('__');
  let schema = root;
  const path: (string | number)[] = [];
  for (const segment of segments) {
    const shape = shapeOf(schema);
    if (shape.kind === 'leaf') {
      const field = shape.fields.find((name) => plain(name) === plain(segment));
      if (field === undefined) return { refused: `${path.join('.')} has nothing of that name below it` };
      schema = anything;
      path.push(field);
      continue;
    }
    if (shape.kind === 'map') {
      schema = shape.value;
      path.push(segment);
    } else if (shape.kind === 'list') {
      if (!/^\d{1,4}$/.test(segment)) return { refused: `${path.join('.')} is a list: say which entry, from 0` };
      schema = shape.item;
      path.push(Number(segment));
    } else {
      const name = [...shape.entries.keys()].find((key) => plain(key) === plain(segment));
      const inner = name === undefined ? undefined : shape.entries.get(name);
      if (name === undefined || inner === undefined) {
        const meant = nearest(plain(segment), [...shape.entries.keys()].map(plain));
        if (segments.length === 1 && meant === undefined) return undefined;
        const hint = meant === undefined ? '' : `, did you mean ${variable.replace(segment, meant.toUpperCase())}?`;
        return { refused: `is not a setting${hint}` };
      }
      schema = inner;
      path.push(name);
    }
  }
  return { path, schema };
}

function plain(name: string): string {
  return name.replaceAll(/[_.]/g, '').toLowerCase();
}

/** Puts the text itself where the setting takes it, else what it says as YAML, of which JSON is a part. */
function put(tree: unknown, { path, schema }: Resolved, text: string): { refused: string } | undefined {
  const isLeaf = shapeOf(schema).kind === 'leaf';
  if (isLeaf && v.safeParse(schema, text).success) return assign(tree, path, text);
  let value: unknown = text;
  try {
    value = parseYaml(text);
  } catch (error) {
    // Where one value stands the schema refuses the text with a better sentence than the YAML parser's.
    if (!isLeaf) return { refused: `is not JSON: ${firstLine(messageOf(error))}` };
  }
  return assign(tree, path, value);
}

function assign(tree: unknown, path: ConfigPath, value: unknown): { refused: string } | undefined {
  let at = tree;
  for (const [depth, step] of path.entries()) {
    if (typeof at !== 'object' || at === null)
      return { refused: 'cannot be set: what should hold it is no group of settings' };
    if (Array.isArray(at) && Number(step) > at.length) {
      return { refused: `the list has ${at.length} entries, so the next is number ${at.length}` };
    }
    const holder = at as Record<string | number, unknown>;
    const isLast = depth === path.length - 1;
    const next = isLast ? value : Object.hasOwn(holder, step) ? holder[step] : emptyFor(path[depth + 1]);
    Object.defineProperty(holder, step, { value: next, enumerable: true, writable: true, configurable: true });
    at = next;
  }
  return undefined;
}

function emptyFor(step: string | number | undefined): unknown {
  return typeof step === 'number' ? [] : {};
}
