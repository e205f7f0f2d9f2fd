// How a setting is written down in config-schema.ts: a valibot schema with what is said about it, so that checks, the
// sample file and the reference come from one place. And the way to walk such a schema.

import * as v from 'valibot';
import { formatBytes, formatDuration, isRefusal, nearest, quote, type Parsed } from './config-units.ts';
import { parseBytes, parseDuration, parseInteger } from './config-units.ts';

/** What is said about a setting, besides its default. */
export interface About {
  /** What it does, and what it costs to change it. */
  doc?: string;
  /** Which values it takes. */
  form?: string;
  /** What holds when it is left out, in words, where no fixed default says it. */
  otherwise?: string;
  /** A value for the sample file. */
  sample?: unknown;
}

/** The same schema, with what is said about it. */
function described<const S extends v.GenericSchema>(schema: S, about: About): S {
  return v.pipe(schema, v.metadata({ about })) as unknown as S;
}

/** A value of one line. `form` says which values it takes. */
export function scalar<T>(form: string, parse: (input: unknown) => Parsed<T>) {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, T>(({ dataset, addIssue, NEVER }) => {
      const parsed = parse(dataset.value);
      if (!isRefusal(parsed)) return parsed;
      addIssue({ message: parsed.refused });
      return NEVER;
    }),
    v.metadata({ form }),
  );
}

export function duration(min: number, max: number) {
  const form = `duration, ${formatDuration(min)} to ${formatDuration(max)}`;
  return scalar(form, (input) => parseDuration(input, { min, max }));
}

export function bytes(min: number, max: number) {
  return scalar(`size, ${formatBytes(min)} to ${formatBytes(max)}`, (input) => parseBytes(input, { min, max }));
}

export function integer(min: number, max: number) {
  return scalar(`whole number, ${min} to ${max}`, (input) => parseInteger(input, { min, max }));
}

export function text(form: string, max: number) {
  return scalar(form, (input): Parsed<string> => {
    if (typeof input === 'string' && input !== '' && input.length <= max) return input;
    return { refused: `must be text of 1 to ${max} characters, not ${quote(input)}` };
  });
}

export const flag = scalar('true or false', (input): Parsed<boolean> => {
  return typeof input === 'boolean' ? input : { refused: `must be true or false, not ${quote(input)}` };
});

export function oneOf<const T extends string | number>(values: readonly T[]) {
  return scalar(values.join(', '), (input): Parsed<T> => {
    const found = values.find((value) => value === input);
    if (found !== undefined) return found;
    const meant = nearest(String(input), values.map(String));
    const hint = meant === undefined ? '' : `, did you mean ${meant}?`;
    return { refused: `must be one of ${values.join(', ')}, not ${quote(input)}${hint}` };
  });
}

/** A setting that may be left out and then has this value, written as people write it. */
export function byDefault<const S extends v.GenericSchema>(schema: S, value: unknown, doc: string, sample?: unknown) {
  return v.optional(described(schema, { doc, sample }), value as v.InferInput<S> & {});
}

/** A setting that may be left out. `otherwise` says what holds then. */
export function optional<const S extends v.GenericSchema>(schema: S, otherwise: string, doc: string, sample?: unknown) {
  return v.exactOptional(described(schema, { doc, otherwise, sample }));
}

/** A setting that must be given, where its group is given. */
export function required<const S extends v.GenericSchema>(schema: S, doc: string, sample?: unknown): S {
  return described(schema, { doc, sample });
}

export function group<const E extends v.ObjectEntries>(entries: E) {
  return v.object(entries, notOf('a group of settings'));
}

/** A group of settings; left out, all of them have their defaults. */
export function section<const E extends v.ObjectEntries>(doc: string, entries: E) {
  return byDefault(group(entries), {}, doc);
}

export function list<const S extends v.GenericSchema>(item: S) {
  return v.array(item, notOf('a list'));
}

/** A list with at least one entry. */
export function listOfSome<const S extends v.GenericSchema>(item: S) {
  const schema = list(item);
  return v.pipe(schema, v.minLength(1, 'must have at least one entry')) as unknown as typeof schema;
}

/** A word, or a group of settings. Anything that is not text is checked as the group. */
export function either<const W extends v.GenericSchema, const G extends v.GenericSchema>(word: W, group: G) {
  const schema = v.lazy((input) => (typeof input === 'string' ? word : group));
  return Object.assign(schema, { group }) as unknown as v.GenericSchema<
    v.InferInput<W> | v.InferInput<G>,
    v.InferOutput<W> | v.InferOutput<G>
  >;
}

/**
 * A group whose setting `key` decides which other settings it has: those of `common`, of which `key` is one, and those
 * of that word in `of`. Left out, it is `fallback`.
 */
export function variants<
  const K extends string,
  const C extends v.ObjectEntries,
  const O extends Record<string, v.ObjectEntries>,
>(key: K, common: C, of: O, fallback: keyof O & string) {
  type Each = { [N in keyof O]: v.ObjectSchema<Omit<C, K> & O[N], undefined> };
  type Output = { [N in keyof O]: v.InferOutput<Each[N]> & Record<K, N> }[keyof O];
  type Input = { [N in keyof O]: v.InferInput<Each[N]> & Partial<Record<K, N>> }[keyof O];
  const groups = new Map(Object.entries(of).map(([name, own]) => [name, group({ ...common, ...own })]));
  const choice: Choice = { key, fallback, common, of: new Map(Object.entries(of)) };
  // With a word that is none of them only what is common can be judged, that word first of all.
  const schema = v.lazy((input) => groups.get(chosen(choice, input)) ?? group(common));
  return Object.assign(schema, { choice }) as unknown as v.GenericSchema<Input, Output>;
}

/** See `variants`. */
export interface Choice {
  key: string;
  fallback: string;
  common: v.ObjectEntries;
  of: ReadonlyMap<string, v.ObjectEntries>;
}

/** The word that `input` has, or means, for the key; one that is no text is no word. */
export function chosen({ key, fallback }: Choice, input: unknown): string {
  const given = typeof input === 'object' && input !== null ? (input as Record<string, unknown>)[key] : undefined;
  if (given === undefined) return fallback;
  return typeof given === 'string' ? given : '';
}

/** The same schema, whose value is one to those who print it, and may be given by these names to the environment. */
export function leafOf<const S extends v.GenericSchema>(schema: S, fields: readonly string[]): S {
  return Object.assign(schema, { fields });
}

/** The same schema, for which a name with nothing behind it is a mistake: as if it were not there would be less safe. */
export function guarding<const S extends v.GenericSchema>(schema: S): S {
  return Object.assign(schema, { isGuarding: true });
}

export function isGuarding(schema: v.GenericSchema): boolean {
  return inside(schema).isGuarding === true;
}

/** Settings under names that people choose. */
export function map<const S extends v.GenericSchema>(value: S) {
  return v.record(v.string(), value, notOf('a group of settings'));
}

function notOf(what: string) {
  return (issue: v.BaseIssue<unknown>): string => {
    const isMissing = issue.received === 'undefined';
    return isMissing ? 'is required' : `must be ${what}, not ${kindOf(issue.input)}`;
  };
}

/** What a value is, without what it holds: there may be a secret in it. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  return typeof value === 'object' && value !== null ? 'a group of settings' : quote(value);
}

/** What a schema is made of, for those who walk it. */
export type Shape =
  | { kind: 'group'; entries: ReadonlyMap<string, v.GenericSchema>; choice?: Choice }
  | { kind: 'list'; item: v.GenericSchema }
  | { kind: 'map'; value: v.GenericSchema }
  | { kind: 'leaf'; fields: readonly string[] };

/** The properties of valibot's schemas that the walk needs; which of them are there depends on `type`. */
interface Introspected {
  type: string;
  wrapped?: v.GenericSchema;
  default?: unknown;
  entries?: Record<string, v.GenericSchema>;
  item?: v.GenericSchema;
  value?: v.GenericSchema;
  /** See `either`. */
  group?: v.GenericSchema;
  /** See `variants`. */
  choice?: Choice;
  /** See `leafOf`. */
  fields?: readonly string[];
  /** See `guarding`. */
  isGuarding?: boolean;
}

function inside(schema: v.GenericSchema): Introspected {
  return schema;
}

/** `input` tells which of several variants is meant; without it, or when it does not tell, all of them together. */
export function shapeOf(schema: v.GenericSchema, input?: unknown): Shape {
  const { type, wrapped, group, choice, entries, item, value, fields } = inside(schema);
  if (wrapped !== undefined) return shapeOf(wrapped, input);
  if (group !== undefined) return shapeOf(group, input);
  if (choice !== undefined) {
    const own = input === undefined ? undefined : choice.of.get(chosen(choice, input));
    const all = Object.assign({}, ...[...choice.of.values()].toReversed()) as v.ObjectEntries;
    return { kind: 'group', entries: new Map(Object.entries({ ...choice.common, ...(own ?? all) })), choice };
  }
  if (entries !== undefined) return { kind: 'group', entries: new Map(Object.entries(entries)) };
  if (item !== undefined) return { kind: 'list', item };
  if (type === 'record' && value !== undefined) return { kind: 'map', value };
  return { kind: 'leaf', fields: fields ?? [] };
}

/** The same for the same group of settings at several places, whatever is said about it there. */
export function identityOf(schema: v.GenericSchema): unknown {
  const { wrapped, group } = inside(schema);
  return wrapped === undefined ? (group ?? schema) : identityOf(wrapped);
}

/** The default, as people write it; undefined where there is none. */
export function defaultOf(schema: v.GenericSchema): unknown {
  return inside(schema).default;
}

export function aboutOf(schema: v.GenericSchema): About {
  const { wrapped } = inside(schema);
  if (wrapped !== undefined) return aboutOf(wrapped);
  const { form, about } = v.getMetadata(schema) as { about?: About; form?: string };
  return form === undefined ? { ...about } : { form, ...about };
}
