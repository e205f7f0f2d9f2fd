// The configuration as text for people: the sample file, the reference, and what is in effect with where it came from.

import assert from 'node:assert';
import type * as v from 'valibot';
import { stringify } from 'yaml';
import type { LoadedConfig } from './config.ts';
import { configSchema } from './config-schema.ts';
import { aboutOf, defaultOf, identityOf, shapeOf } from './config-setting.ts';
import { isGiven, type ConfigPath } from './config-source.ts';
import { formatBytes, formatDuration } from './config-units.ts';

const WIDTH = 110;

/** A value on one line of YAML. */
function inline(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim();
}

function wrap(text: string, prefix: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && prefix.length + line.length + 1 + word.length > WIDTH) {
      lines.push(prefix + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, prefix + line];
}

const SAMPLE_HEAD = `# headwater.yaml: every setting, with its default.
#
# Only the settings that have no "#" before them are in effect. To change one, take the "#" from its line and from the
# lines that hold it, up to the section. A setting can also come from the environment, two underscores for each level:
# HEADWATER_MQTT__LISTEN=127.0.0.1:1883. To check this file: headwater config check FILE
`;

/** The sample file: every setting under its documentation, all of it commented out but the data folder. */
export function printSample(): string {
  const shape = shapeOf(configSchema);
  assert(shape.kind === 'group');
  const lines = [SAMPLE_HEAD];
  for (const [name, schema] of shape.entries) {
    lines.push(...wrap(aboutOf(schema).doc ?? '', '# '));
    const body = [`${name}:`, ...bodyLines(schema, '  ')];
    lines.push(...(name === 'data' ? body.map(onlyFolder) : body.map((line) => `#${line}`)), '');
  }
  return lines.join('\n').trimEnd() + '\n';
}

/** The data folder is what every installation chooses, so it is the one setting of the sample that is in effect. */
function onlyFolder(line: string): string {
  return line.startsWith('  budget') ? line.replace('  ', '  #') : line;
}

/** What stands below a section's name: its settings, or one entry of a list or a map. */
function bodyLines(schema: v.GenericSchema, indent: string): string[] {
  const shape = shapeOf(schema);
  if (shape.kind === 'map') return [`${indent}readings:`, ...groupLines(shape.value, `${indent}  `)];
  if (shape.kind !== 'list') return groupLines(schema, indent);
  return [...entryLines(groupLines(shape.item, `${indent}  `), indent), ...otherVariants(shape.item, indent)];
}

/** One entry of a list. */
function entryLines([first = '', ...rest]: string[], indent: string): string[] {
  return [`${indent}- ${first.trimStart()}`, ...rest];
}

/** An entry for each further variant: what must be given, and what it has of its own. */
function otherVariants(schema: v.GenericSchema, indent: string): string[] {
  const shape = shapeOf(schema);
  if (shape.kind !== 'group' || shape.choice === undefined) return [];
  const { key, fallback, common, of } = shape.choice;
  return [...of].flatMap(([name, own]) => {
    if (name === fallback) return [];
    const head = Object.entries(common).filter(([, inner]) => isRequired(inner));
    // Entries of one file differ in their names.
    const lines = head.map(([setting, inner]) => `${indent}  ${setting}: ${inline(aboutOf(inner).sample)}-${name}`);
    const body = entriesLines(Object.entries(own), `${indent}  `);
    return entryLines([...lines, `${indent}  ${key}: ${name}`, ...body], indent);
  });
}

function isRequired(schema: v.GenericSchema): boolean {
  const { otherwise } = aboutOf(schema);
  if (otherwise !== undefined) return otherwise.startsWith('required');
  return defaultOf(schema) === undefined;
}

/** The settings of a group, one below the other, each under its documentation. */
function groupLines(schema: v.GenericSchema, indent: string): string[] {
  // Of several variants the first that can be meant.
  const shape = shapeOf(schema, {});
  assert(shape.kind === 'group');
  return entriesLines(shape.entries, indent);
}

function entriesLines(entries: Iterable<[string, v.GenericSchema]>, indent: string): string[] {
  const lines: string[] = [];
  for (const [name, inner] of entries) {
    const about = aboutOf(inner);
    lines.push(...wrap(`${about.doc ?? ''}${facts(inner)}`, `${indent}# `));
    if (isLeafLike(inner) || about.sample !== undefined)
      lines.push(`${indent}${name}: ${inline(about.sample ?? defaultOf(inner))}`);
    else lines.push(`${indent}${name}:`, ...bodyLines(inner, `${indent}  `));
  }
  return lines;
}

/** ` (duration, 1ms to 1m; default 100ms)` */
function facts(schema: v.GenericSchema): string {
  const parts = [takes(schema), standardOf(schema)].filter((part) => part !== '');
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

function standardOf(schema: v.GenericSchema): string {
  const { otherwise } = aboutOf(schema);
  if (otherwise !== undefined) return `default: ${otherwise}`;
  if (!isLeafLike(schema)) return '';
  const fallback = defaultOf(schema);
  return fallback === undefined ? 'required' : `default ${inline(fallback)}`;
}

/** docs/config.md: the same as tables. */
export function printReference(): string {
  const lines = [
    '# Settings',
    '',
    'Printed from the schema by `headwater config show --defaults -o markdown`.',
    '',
    'One YAML file, given by `serve --config FILE` or `HEADWATER_CONFIG`. It is never written by the program. Unknown names and wrong values are',
    'errors, all of them told in one pass as `file:line:column: what`; `headwater config check FILE` does so without touching the data folder.',
    'Durations are written `100ms`, `30s`, `5m`, `12h`, `7d`; sizes `64KiB`, `8GiB`, `10MB`. A setting can come from the environment:',
    '`HEADWATER_MQTT__LISTEN` is `mqtt.listen` (two underscores go one level down, case, dots and single underscores do not count), lists and groups',
    'are given as JSON: `HEADWATER_MIRROR=\'[{"name": "dc", "bootstrap": ["kafka:9092"]}]\'`. The environment counts more than the file.',
    '',
    'A secret is never written here, but where it lies: `{file: PATH}`, `{credential: NAME}` (what `LoadCredential=` of a systemd unit names) or',
    '`{env: NAME}`, from the environment as `HEADWATER_HTTP__TOKEN__FILE`. It is read at the start and again whenever it is needed, so that a',
    'file that is replaced counts without a new start; a newline at its end is cut, and it may have 64 KiB. One that is missing or empty is a',
    'mistake of the configuration (exit code 78). See [security.md](security.md).',
    '',
  ];
  tables(configSchema, '', { lines, printed: new Map() });
  return lines.join('\n');
}

/** The reference while it is written. */
interface Page {
  lines: string[];
  /** Where the settings of a group stand that occurs at several places. */
  printed: Map<unknown, string>;
}

function tables(schema: v.GenericSchema, prefix: string, page: Page): void {
  const shape = shapeOf(schema);
  if (shape.kind === 'leaf') return;
  if (shape.kind === 'list') return tables(shape.item, `${prefix}[]`, page);
  if (shape.kind === 'map') return tables(shape.value, `${prefix}.NAME`, page);
  const { choice } = shape;
  if (choice === undefined) return entryTables(shape.entries, prefix, page);
  entryTables(new Map(Object.entries(choice.common)), prefix, page);
  for (const [name, own] of choice.of) {
    page.lines.push(`### ${prefix} with \`${choice.key}: ${name}\``, '');
    entryTables(new Map(Object.entries(own)), prefix, page);
  }
}

function entryTables(entries: ReadonlyMap<string, v.GenericSchema>, prefix: string, page: Page): void {
  const { lines, printed } = page;
  const settings = [...entries].filter(([, inner]) => isLeafLike(inner));
  if (settings.length > 0) {
    lines.push('| setting | takes | default | |', '|---|---|---|---|');
    for (const [name, inner] of settings) lines.push(row(`${prefix}.${name}`, inner));
    lines.push('');
  }
  for (const [name, inner] of entries) {
    if (isLeafLike(inner)) continue;
    const at = prefix === '' ? name : `${prefix}.${name}`;
    lines.push(`${prefix === '' ? '##' : '###'} ${at}`, '', aboutOf(inner).doc ?? '', '');
    const known = printed.get(identityOf(inner));
    printed.set(identityOf(inner), known ?? at);
    if (known === undefined) tables(inner, at, page);
    else lines.push(`Has the settings of \`${known}\`.`, '');
  }
}

/** Lists and maps of plain values are settings of one row. */
function isLeafLike(schema: v.GenericSchema): boolean {
  const shape = shapeOf(schema);
  if (shape.kind === 'list') return shapeOf(shape.item).kind === 'leaf';
  if (shape.kind === 'map') return shapeOf(shape.value).kind === 'leaf';
  return shape.kind === 'leaf';
}

function row(path: string, schema: v.GenericSchema): string {
  const about = aboutOf(schema);
  const fallback = defaultOf(schema);
  const standard = about.otherwise ?? (fallback === undefined ? 'required' : `\`${inline(fallback)}\``);
  return `| \`${path}\` | ${takes(schema)} | ${standard} | ${about.doc ?? ''} |`;
}

function takes(schema: v.GenericSchema): string {
  const shape = shapeOf(schema);
  if (!isLeafLike(schema)) return '';
  if (shape.kind === 'list') return `list: ${aboutOf(shape.item).form}`;
  if (shape.kind === 'map') return `names, each with: ${aboutOf(shape.value).form}`;
  return aboutOf(schema).form ?? '';
}

/** What is in effect, as a file that could be used in place of all its sources; each line says where it is from. */
export function printEffective({ config, effective, source }: LoadedConfig): string {
  const tree = withMachine(effective, config);
  const lines: string[] = [];
  render(tree, [], '', (path) => (isGiven(source.tree, path) ? source.originOf(path) : 'default'), lines);
  const width = Math.min(60, Math.max(...lines.map((line) => line.split('\t')[0]?.length ?? 0)));
  return lines.map((line) => align(line, width)).join('\n') + '\n';
}

/** The same as a tree, with what the machine decided filled in. */
export function effectiveTree({ config, effective }: LoadedConfig): Record<string, unknown> {
  return withMachine(effective, config);
}

function withMachine(effective: Record<string, unknown>, config: LoadedConfig['config']): Record<string, unknown> {
  const data = effective['data'] as Record<string, unknown>;
  const { profile, ...commit } = effective['commit'] as Record<string, unknown>;
  return {
    ...effective,
    node: { name: config.node.name },
    data: { ...data, budget: data['budget'] ?? formatBytes(config.data.budgetBytes) },
    commit: { profile, interval: formatDuration(config.commit.intervalMs), ...commit },
  };
}

function align(line: string, width: number): string {
  const [text = '', origin] = line.split('\t');
  return origin === undefined ? text : `${text.padEnd(width)}  # ${origin}`;
}

function render(
  value: unknown,
  path: ConfigPath,
  indent: string,
  originOf: (path: ConfigPath) => string | undefined,
  lines: string[],
): void {
  for (const [key, inner] of Object.entries(value as object) as [string, unknown][]) {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    const head = Array.isArray(value) ? `${indent}-` : `${indent}${inline(key)}:`;
    const isNested = typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0;
    if (isNested) {
      lines.push(head);
      render(inner, at, `${indent}  `, originOf, lines);
    } else lines.push(`${head} ${inline(inner)}\t${originOf(at) ?? ''}`);
  }
}
