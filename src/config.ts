// The configuration: one YAML file with variables of the environment laid over it, checked in one pass. What comes out
// has every default filled in and plain numbers named by their unit. There are no secrets in it, only where they lie.
// Opens nothing in the data folder, and reads no secret.

import { readFileSync, statfsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import {
  groupsConfig,
  kafkaSettings,
  transactionsConfig,
  type GroupsConfig,
  type KafkaNames,
  type TransactionsConfig,
} from './config-kafka.ts';
import { configSchema, type ConfigValue } from './config-schema.ts';
import { contradictions, strayNames } from './config-checks.ts';
import { defaultOf, shapeOf } from './config-setting.ts';
import { isGiven, readSource, type ConfigPath, type Environment, type Problem, type Source } from './config-source.ts';
import { isRefusal, parseAddress, type Address } from './config-units.ts';
import { HeadwaterError, messageOf } from './errors.ts';
import type { Secret } from './secret.ts';

export type { ConfigPath, Environment } from './config-source.ts';
export type { Address } from './config-units.ts';
export { formatAddress } from './config-units.ts';

export interface Config {
  node: { name: string };
  /** `dir` is absolute. */
  data: { dir: string; budgetBytes: number };
  commit: { profile: Profile; intervalMs: number; burstMs: number; relaxedMs: number };
  /** Of the card: what it is reckoned by. */
  card: { bytes: number | undefined; enduranceBytes: number | undefined; cycles: number; fallbackBytes: number };
  /** How far the wall clock is believed, and how long mirrors wait for the right time of a record. */
  clock: { trust: ConfigValue['clock']['trust']; holdMs: number };
  /** A door whose `listen` is undefined stays shut. */
  mqtt: {
    listen: Address | undefined;
    insecure: boolean;
    users: User[];
    packetBytesMax: number;
    clientsMax: number;
    publish: ConfigValue['mqtt']['publish'];
  };
  kafka: {
    listen: Address | undefined;
    insecure: boolean;
    advertise: Address | undefined;
    listeners: { listen: Address; advertise?: Address | undefined }[];
    clientsMax: number;
    groups: GroupsConfig;
    /** All that bear Kafka's names, in their own units. */
    settings: KafkaNames;
    transactions: TransactionsConfig;
  };
  http: { listen: Address | undefined; insecure: boolean; token?: Secret; hosts: string[] };
  serial: SerialPort[];
  routes: ConfigValue['routes'];
  /** Settings of the topics that the file names, as far as it gives them; -1 is no limit. */
  topics: ReadonlyMap<string, TopicConfig>;
  mirror: ConfigValue['mirror'];
  log: ConfigValue['log'];
  /** Where a setting was given: `headwater.yaml:3:9`, a variable's name, or `default`. */
  readonly locate: (path: ConfigPath) => string;
}

export interface User {
  name: string;
  password: Secret;
}

export type SerialPort = ConfigValue['serial'][number];

export interface TopicConfig {
  partitions?: number;
  retentionMs?: number;
  retentionBytes?: number;
  cleanup?: NonNullable<ConfigValue['topics'][string]['cleanup']>;
  pin?: NonNullable<ConfigValue['topics'][string]['pin']>;
  durability?: NonNullable<ConfigValue['topics'][string]['durability']>;
  whenFull?: NonNullable<ConfigValue['topics'][string]['whenFull']>;
}

/** A configuration, and what it would look like as one file. */
export interface LoadedConfig {
  config: Config;
  /** Every setting that has a value, as people write it. */
  effective: Record<string, unknown>;
  source: Source;
}

/** What the defaults ask of the machine. */
export interface Machine {
  hostname(): string;
  /** Bytes of the disk that `dir` is or will be on; undefined where it cannot be told. */
  diskBytes(dir: string): number | undefined;
}

export interface ConfigInput {
  /** Path of the file. Without it and without `text` or `tree`, the built-in defaults. */
  file?: string;
  /** The file's text, for tests and for checking what is not yet a file. */
  text?: string;
  /** A tree as the file would give it. */
  tree?: unknown;
  /** Variables of the environment that count; none unless given. */
  env?: Environment;
  machine?: Machine;
  /** What the rooms find wrong, see headwater.ts: told with all else. Without it, they say so when they are opened. */
  rooms?: RoomsCheck;
}

/** Entries of the configuration that are sound as far as the schema sees, and their numbers. */
export interface Entries {
  routes: [index: number, rule: Config['routes'][number]][];
  serial: [index: number, port: SerialPort][];
}

/** Mistakes that only the rooms know, such as a route's template. */
export type RoomsCheck = (entries: Entries) => { path: ConfigPath; message: string }[];

type Profile = ConfigValue['commit']['profile'];

/** What follows from the kind of card. Cycles: how many times the whole of it can be written, by cautious data sheets. */
const PROFILES: Record<Profile, { intervalMs: number; cycles: number }> = {
  sd: { intervalMs: 100, cycles: 500 },
  emmc: { intervalMs: 50, cycles: 2000 },
  ssd: { intervalMs: 10, cycles: 600 },
};

const CARD_DEFAULT_BYTES = 32 * 2 ** 30;
const BUDGET_DEFAULT_BYTES = 8 * 2 ** 30;
const BUDGET_MIN_BYTES = 128 * 2 ** 20;

/** The configuration, or CONFIG_INVALID with a line `file:line:col: what` for each mistake there is. */
export function loadConfig(input: ConfigInput = {}): Config {
  return explainConfig(input).config;
}

/** As loadConfig, with the effective settings and where each came from. */
export function explainConfig(input: ConfigInput = {}): LoadedConfig {
  const source = readSource(textOf(input), input.env ?? {}, configSchema);
  const parsed = v.safeParse(configSchema, source.tree);
  const problems = [...source.problems];
  if (source.isReadable) {
    problems.push(...strayNames(configSchema, source.tree, []), ...(parsed.issues ?? []).map(problemOf));
    const isSound = (path: ConfigPath): boolean => !problems.some((problem) => spoils(problem, path));
    problems.push(...contradictions(parsed.output as ConfigValue, isSound));
    problems.push(...roomProblems(input.rooms, parsed.output as ConfigValue, problems));
  }
  if (problems.length > 0) throw invalidConfig(source, problems);
  const config = resolveConfig(parsed.output as ConfigValue, source, input.machine ?? thisMachine);
  return { config, effective: effectiveOf(configSchema, source.tree) as Record<string, unknown>, source };
}

function roomProblems(rooms: RoomsCheck | undefined, value: ConfigValue, problems: readonly Problem[]): Problem[] {
  const entriesOf = <T>(name: string, list: readonly T[]): [number, T][] => {
    // A list that is none has no entries to ask about.
    const entries = Array.isArray(list) ? [...(list as readonly T[]).entries()] : [];
    return entries.filter(([index]) => {
      const path = [name, index];
      return !problems.some((problem) => spoils(problem, path) || isWithin(problem, path));
    });
  };
  const entries = { routes: entriesOf('routes', value.routes), serial: entriesOf('serial', value.serial) };
  const found = rooms?.(entries) ?? [];
  return found.map((problem) => ({ ...problem, isSentence: true }));
}

/** True when the mistake is somewhere below `path`. */
function isWithin(problem: Problem, path: ConfigPath): boolean {
  return problem.isName !== true && path.every((step, index) => step === problem.path[index]);
}

/**
 * The error for mistakes that a room finds later, such as a route's template: one line each, with the place.
 * `config` is where the values came from.
 */
export function configError(
  config: Config,
  problems: readonly { path: ConfigPath; message: string }[],
): HeadwaterError {
  const lines = problems.map(({ path, message }) => `${config.locate(path)}: ${nameOf(path)}: ${message}`);
  return new HeadwaterError('CONFIG_INVALID', lines.join('\n'));
}

function textOf(input: ConfigInput): { name: string; text: string } | { tree: unknown } | undefined {
  if (input.text !== undefined) return { name: input.file ?? 'headwater.yaml', text: input.text };
  if (input.tree !== undefined) return { tree: input.tree };
  if (input.file === undefined) return undefined;
  try {
    return { name: input.file, text: readFileSync(input.file, 'utf8') };
  } catch (cause) {
    throw new HeadwaterError('CONFIG_INVALID', `${input.file} cannot be read: ${whyUnread(cause)}`, { cause });
  }
}

function whyUnread(cause: unknown): string {
  const { code } = cause as { code?: string };
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder';
  return code === 'EACCES' ? 'this user may not' : messageOf(cause);
}

function invalidConfig(source: Source, problems: Problem[]): HeadwaterError {
  const ranked = problems.map((problem) => ({ problem, rank: source.rankOf(problem.path, problem.isName) }));
  ranked.sort((a, b) => a.rank - b.rank);
  const lines = ranked.map(({ problem }) => {
    const at = problem.at ?? source.originOf(problem.path, problem.isName) ?? source.name;
    const name = problem.path.length === 0 ? '' : `${nameOf(problem.path)}${problem.isSentence === true ? ': ' : ' '}`;
    return `${at}: ${name}${problem.message}`;
  });
  return new HeadwaterError('CONFIG_INVALID', lines.join('\n'));
}

/** `serial[0].topic`. */
function nameOf(path: ConfigPath): string {
  let name = '';
  for (const step of path) name += typeof step === 'number' ? `[${step}]` : name === '' ? step : `.${step}`;
  return name;
}

function problemOf(issue: v.BaseIssue<unknown>): Problem {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  return { path, message: issue.message };
}

/** True when a mistake makes the value at `path` unfit for further checks: it is there, or above. */
function spoils(problem: Problem, path: ConfigPath): boolean {
  if (problem.isName === true || problem.at !== undefined) return false;
  return problem.path.every((step, index) => step === path[index]);
}

/** The tree with every default that is not the machine's filled in. */
function effectiveOf(schema: v.GenericSchema, value: unknown): unknown {
  const given = value ?? defaultOf(schema);
  const shape = shapeOf(schema, given);
  if (typeof given !== 'object' || shape.kind === 'leaf') return given;
  if (shape.kind === 'list') return (given as unknown[]).map((item) => effectiveOf(shape.item, item));
  const holder = given as Record<string, unknown>;
  const keys = shape.kind === 'map' ? Object.keys(holder) : [...shape.entries.keys()];
  const pairs: [string, unknown][] = [];
  for (const key of keys) {
    const inner = shape.kind === 'map' ? shape.value : shape.entries.get(key);
    const filled = inner === undefined ? undefined : effectiveOf(inner, holder[key]);
    if (filled !== undefined) pairs.push([key, filled]);
  }
  return Object.fromEntries(pairs);
}

function resolveConfig(value: ConfigValue, source: Source, machine: Machine): Config {
  const { mqtt, kafka, commit } = value;
  const { intervalMs, cycles } = PROFILES[commit.profile];
  const dir = resolve(value.data.dir);
  const onDisk = machine.diskBytes(dir);
  const fallbackBytes = onDisk ?? CARD_DEFAULT_BYTES;
  const advertise = kafka.advertise === undefined ? undefined : parseAddress(kafka.advertise);
  return {
    node: { name: value.node.name ?? nodeNameFrom(machine.hostname()) },
    data: { dir, budgetBytes: value.data.budget ?? defaultBudgetBytes(onDisk) },
    commit: {
      profile: commit.profile,
      intervalMs: commit.interval ?? intervalMs,
      burstMs: commit.burst,
      relaxedMs: commit.relaxed,
    },
    card: { bytes: value.card.size, enduranceBytes: value.card.endurance, cycles, fallbackBytes },
    clock: { trust: value.clock.trust, holdMs: value.clock.hold },
    mqtt: {
      listen: mqtt.listen,
      insecure: mqtt.insecure,
      users: mqtt.users,
      packetBytesMax: mqtt.packetMax,
      clientsMax: mqtt.clients,
      publish: mqtt.publish,
    },
    kafka: {
      listen: kafka.listen,
      insecure: kafka.insecure,
      advertise: isRefusal(advertise) ? undefined : advertise,
      listeners: kafka.listeners,
      clientsMax: kafka.clients,
      groups: groupsConfig(kafka),
      settings: kafkaSettings(kafka),
      transactions: transactionsConfig(kafka),
    },
    http: value.http,
    serial: value.serial,
    routes: value.routes,
    topics: new Map(Object.entries(value.topics).map(([name, topic]) => [name, topicConfig(topic)])),
    mirror: value.mirror,
    log: value.log,
    locate: (path) => (isGiven(source.tree, path.slice(0, 1)) && source.originOf(path)) || 'default',
  };
}

function topicConfig({ retention, ...topic }: ConfigValue['topics'][string]): TopicConfig {
  return retention === undefined ? topic : { ...topic, retentionMs: retention };
}

function nodeNameFrom(host: string): string {
  const name = host.replaceAll(/[^\w.-]/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return name === '' ? 'headwater' : name.slice(0, 100);
}

function defaultBudgetBytes(diskBytes: number | undefined): number {
  if (diskBytes === undefined) return BUDGET_DEFAULT_BYTES;
  const halfBytes = Math.floor(diskBytes / 2);
  return Math.max(BUDGET_MIN_BYTES, Math.min(BUDGET_DEFAULT_BYTES, halfBytes));
}

const thisMachine: Machine = { hostname, diskBytes };

function diskBytes(dir: string): number | undefined {
  try {
    const { blocks, bsize } = statfsSync(dir);
    return blocks * bsize;
  } catch {
    // The folder is made at the first start: its parent's disk will be its own.
    const parent = dirname(dir);
    return parent === dir ? undefined : diskBytes(parent);
  }
}
