// The log's topics while it is open: found, made, changed and deleted, each change on the card before it is told of. Their
// rows and names are topics.ts's, their partitions partition.ts's.

import { HeadwaterError } from '../errors.ts';
import type { Change, Tables } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import type { Topic, TopicSettings } from './log.ts';
import type { LogPartition } from './partition.ts';
import {
  checkSettings,
  checkTopic,
  DEFAULT_SETTINGS,
  endKey,
  startKey,
  type TopicRow,
  type TopicRows,
} from './topics.ts';

export interface OpenTopic extends Topic {
  id: Buffer;
  settings: TopicSettings;
  partitions: LogPartition[];
}

export interface TopicSetNeeds {
  rows: TopicRows;
  tables: Tables;
  /** Of a topic that is made without a number. */
  partitionsByDefault: number;
  /** What the configuration gives to topics by name. */
  configured: ReadonlyMap<string, Partial<TopicSettings>>;
  makePartition: (topic: Topic, index: number, number: number) => LogPartition;
  /** Commits wait for this: a definition that their records need. */
  holdFor: (work: Promise<void>) => void;
  /** A topic's partitions are gone from memory; its rows are on their way. */
  onRemoved: (partitions: readonly LogPartition[]) => void;
  trace: Trace;
}

export interface TopicSet {
  readonly partitions: ReadonlyMap<number, LogPartition>;
  get(name: string): OpenTopic | undefined;
  byId(id: Buffer): OpenTopic | undefined;
  all(): IterableIterator<OpenTopic>;
  count(): number;
  /** A topic of this durability is there. */
  hasImmediate(): boolean;
  /** At the start: makes topics of the configuration that are missing, and gives the others its settings. */
  configure(): Promise<void>;
  /** See Log. */
  create(name: string, settings?: Partial<TopicSettings>): Promise<Topic>;
  ensure(name: string): Topic;
  alter(name: string, settings: Partial<TopicSettings>): Promise<void>;
  /** On return the topic and its rows are gone. Throws TOPIC_UNKNOWN. */
  remove(name: string): Promise<void>;
  onChange(listener: () => void): () => void;
}

/** The topics of the rows, as they are on the card. */
export async function loadTopicSet(needs: TopicSetNeeds): Promise<TopicSet> {
  const { rows, tables, configured, partitionsByDefault, holdFor, trace } = needs;
  const topics = new Map<string, OpenTopic>();
  const byId = new Map<string, OpenTopic>();
  const partitions = new Map<number, LogPartition>();
  const listeners = new Set<() => void>();
  let immediate = 0;
  for (const [name, row] of await rows.load()) add(name, row);

  function add(name: string, row: TopicRow): OpenTopic {
    const topic: OpenTopic = { name, id: Buffer.from(row.id, 'hex'), settings: DEFAULT_SETTINGS, partitions: [] };
    topics.set(name, topic);
    byId.set(row.id, topic);
    grow(topic, row);
    return topic;
  }

  function grow(topic: OpenTopic, row: TopicRow): void {
    settle(topic, { ...DEFAULT_SETTINGS, ...row.settings });
    for (const number of row.partitions.slice(topic.partitions.length)) {
      const partition = needs.makePartition(topic, topic.partitions.length, number);
      topic.partitions.push(partition);
      partitions.set(number, partition);
    }
  }

  async function configure(): Promise<void> {
    for (const [name, settings] of configured) {
      const topic = topics.get(name);
      if (topic === undefined) await create(name);
      else await reconfigure(topic, settings);
    }
  }

  async function reconfigure(topic: OpenTopic, changed: Partial<TopicSettings>): Promise<void> {
    const settings = { ...topic.settings, ...changed };
    checkSettings(settings);
    if (settings.partitions < topic.partitions.length) {
      trace.warn('a topic keeps its partitions, their number can only grow', {
        topic: topic.name,
        partitions: topic.partitions.length,
      });
      settings.partitions = topic.partitions.length;
    }
    await redefine(topic, settings);
  }

  async function alter(name: string, wanted: Partial<TopicSettings>): Promise<void> {
    const topic = known(name);
    for (const [setting, value] of Object.entries(configured.get(name) ?? {})) {
      const other = wanted[setting as keyof TopicSettings];
      if (other === undefined || other === value) continue;
      throw new HeadwaterError('TOPIC_INVALID', `${setting} of ${name} is set in the configuration of the node`);
    }
    const settings = { ...topic.settings, ...wanted };
    checkSettings(settings);
    const count = topic.partitions.length;
    if (settings.partitions < count) {
      throw new HeadwaterError('TOPIC_INVALID', `${name} has ${count} partitions, and their number can only grow`);
    }
    await redefine(topic, settings);
  }

  async function redefine(topic: OpenTopic, settings: TopicSettings): Promise<void> {
    if (JSON.stringify(settings) === JSON.stringify(topic.settings)) return;
    const count = topic.partitions.length;
    const { row, changes } = rows.redefine(topic.name, rowOf(topic), settings);
    grow(topic, row);
    const isKept = tables.write(changes);
    // Records for the new partitions wait until these are on the card.
    holdFor(isKept);
    if (topic.partitions.length > count) tell();
    await isKept;
  }

  function define(name: string, settings: Partial<TopicSettings> = {}): { topic: OpenTopic; isKept: Promise<void> } {
    const whole = { ...DEFAULT_SETTINGS, partitions: partitionsByDefault, ...configured.get(name), ...settings };
    checkTopic(name, whole);
    const { row, changes } = rows.define(name, whole);
    const topic = add(name, row);
    const isKept = tables.write(changes);
    // Its records wait until the definition is on the card.
    holdFor(isKept);
    tell();
    return { topic, isKept };
  }

  async function create(name: string, settings?: Partial<TopicSettings>): Promise<Topic> {
    if (topics.has(name)) throw new HeadwaterError('TOPIC_EXISTS', `topic ${name} exists`);
    const { topic, isKept } = define(name, settings);
    await isKept;
    return topic;
  }

  async function remove(name: string): Promise<void> {
    const topic = known(name);
    topics.delete(name);
    byId.delete(topic.id.toString('hex'));
    if (isImmediate(topic.settings)) immediate -= 1;
    const changes: Change[] = [[`topic/${name}`, null]];
    for (const partition of topic.partitions) {
      partition.remove();
      partitions.delete(partition.number);
      changes.push([startKey(partition.number), null], [endKey(partition.number), null]);
    }
    needs.onRemoved(topic.partitions);
    // Written first: who is told may make the topic anew.
    const isGone = tables.write(changes);
    tell();
    await isGone;
  }

  function known(name: string): OpenTopic {
    const topic = topics.get(name);
    if (topic === undefined) throw new HeadwaterError('TOPIC_UNKNOWN', `there is no topic ${name}`);
    return topic;
  }

  function settle(topic: OpenTopic, settings: TopicSettings): void {
    immediate += Number(isImmediate(settings)) - Number(isImmediate(topic.settings));
    topic.settings = settings;
  }

  function tell(): void {
    for (const listener of listeners) listener();
  }

  return {
    partitions,
    get: (name) => topics.get(name),
    byId: (id) => byId.get(id.toString('hex')),
    all: () => topics.values(),
    count: () => topics.size,
    hasImmediate: () => immediate > 0,
    configure,
    create,
    ensure: (name) => topics.get(name) ?? define(name).topic,
    alter,
    remove,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

function isImmediate({ durability }: TopicSettings): boolean {
  return durability === 'immediate';
}

function rowOf(topic: OpenTopic): TopicRow {
  return {
    id: topic.id.toString('hex'),
    partitions: topic.partitions.map((each) => each.number),
    settings: topic.settings,
  };
}
