// The cells of the matrix: what a client does in each, and how the test sees that it was right. What a client wrote is read
// from the log, what it read and saw it tells. Each returns what the table says of it.

import { expect } from 'vitest';
import { compressionOf, decodeRecords, encodeBatch, readBatchHeader } from '../../src/formats/batch.ts';
import { until } from '../parts/until.ts';
import { drive, startMember, type ClientName, type Member } from './clients/client.ts';
import { recordOf, recordsOf, WRITTEN_PARTITIONS, type SeenRecord } from './clients/records.ts';
import { openLossyRelay } from './lossy-relay.ts';
import { openNode, type Node } from './open-node.ts';

export interface Abilities {
  /** Compressions that it writes and reads. */
  compressions: readonly string[];
  /** Whether it writes a time and headers of each record's own. */
  writesAll: boolean;
  /** Whether its commits carry metadata. */
  hasMetadata: boolean;
  metadataOf(text: string): string;
  /** Whether it goes on when the connection to its only broker breaks. */
  survivesLoss: boolean;
  /** Whether its transactions can be aborted, and commit offsets. */
  aborts: boolean;
  /** What of the admin walk it does not do, by the names of what is seen. */
  noAdmin: readonly string[];
}

export interface Setting {
  client: ClientName;
  abilities: Abilities;
  node: Node;
  /** The test's own: of tests that run at once vitest's global one takes the wrong one. */
  onTestFinished(act: () => void | Promise<void>): void;
  /** Topics with records of each compression, and of those that every client knows. */
  mixed: { all: string; plain: string };
}

const COUNT = 400;
const MEMBER_PARTITIONS = 6;

/** Keeps records of any time: those that clients write are old. */
export function makeTopic(node: Node, name: string, partitions = 1): Promise<unknown> {
  return node.log.createTopic(name, { partitions, retentionMs: 1e13 });
}

async function readLog(node: Node, topic: string): Promise<(Omit<SeenRecord, 'partition'> & { partition: number })[]> {
  const records: SeenRecord[] = [];
  for (const partition of node.log.topic(topic)!.partitions) {
    for (const batch of await partition.read(partition.logStart, 1 << 30)) {
      for (const { offset, timestampMs, key, value, headers } of decodeRecords(batch)) {
        records.push({
          partition: partition.index,
          offset,
          timestampMs,
          key: textOf(key),
          value: textOf(value),
          headers: headers.map((header) => [header.key, textOf(header.value)]),
        });
      }
    }
  }
  return records;
}

const textOf = (data: Buffer | null): string | null => (data === null ? null : String(data));

/** What the log should hold of the written records of these numbers, as far as a client can say it. */
function expectWritten(found: readonly SeenRecord[], from: number, to: number, { writesAll }: Abilities): void {
  const wanted = Array.from({ length: WRITTEN_PARTITIONS }, (_, index) =>
    recordsOf(from, to).filter(({ partition }) => partition === index),
  ).flat();
  const told = found.map(({ partition, key, value, headers, timestampMs }) => ({
    partition,
    key,
    value,
    headers,
    timestampMs,
  }));
  if (writesAll) expect(told).toEqual(wanted);
  else {
    const bare = ({ partition, key, value }: Pick<SeenRecord, 'partition' | 'key' | 'value'>) => ({
      partition,
      key,
      value,
    });
    expect(told.map(bare)).toEqual(wanted.map(bare));
    expect(told.every(({ headers }) => headers.length === 2)).toBe(true);
  }
}

export async function produce({ client, abilities, node }: Setting): Promise<string> {
  const topic = `${client}-produce`;
  const { compressions } = abilities;
  for (const each of compressions) await makeTopic(node, `${topic}-${each}`, WRITTEN_PARTITIONS);
  const options = { bootstrap: node.bootstrap, topic, compressions: [...compressions], idempotent: false };
  const { acked } = await drive<Acked>(client, 'produce', { ...options, count: COUNT, chunk: COUNT });
  expect(acked).toEqual(Object.fromEntries(compressions.map((each) => [each, COUNT])));
  for (const each of compressions) {
    expectWritten(await readLog(node, `${topic}-${each}`), 0, COUNT, abilities);
    const batches = await node.log.topic(`${topic}-${each}`)!.partitions[0]!.read(0, 1 << 30);
    // A client that mistrusts the broker's versions sends plain batches, silently. One of few records is sent plain anyway.
    const stored = batches.map((batch) => readBatchHeader(batch)).filter(({ recordCount }) => recordCount > 20);
    expect(new Set(stored.map(compressionOf)), each).toEqual(new Set([each]));
  }
  return compressions.length === 5 ? 'all five' : compressions.join(' ');
}

interface Acked {
  acked: Record<string, number>;
}

export async function idempotent({ client, abilities, onTestFinished }: Setting): Promise<string> {
  const losing = abilities.survivesLoss ? [2, 5] : [];
  const relay = await openLossyRelay(losing);
  onTestFinished(() => relay.close());
  const node = await openNode({ advertisePort: relay.port });
  onTestFinished(() => node.close());
  relay.target = node.port;
  const compression = abilities.compressions.at(-1)!;
  await makeTopic(node, `t-${compression}`, WRITTEN_PARTITIONS);
  const options = { bootstrap: `127.0.0.1:${relay.port}`, topic: 't', compressions: [compression], idempotent: true };
  const { acked } = await drive<Acked>(client, 'produce', { ...options, count: COUNT, chunk: 50 });
  expect(acked).toEqual({ [compression]: COUNT });
  expect(relay.lost).toBe(losing.length);
  expectWritten(await readLog(node, `t-${compression}`), 0, COUNT, abilities);
  for (const partition of node.log.topic(`t-${compression}`)!.partitions) expect(partition.producers()).not.toEqual([]);
  return losing.length > 0 ? 'yes' : 'no loss';
}

/**
 * Three transactions: the first and the third are committed, the second is aborted; the third commits an offset, too. Whoever
 * reads only what is committed, the client itself, sees the records of the two.
 */
export async function transact({ client, abilities, node }: Setting): Promise<string> {
  const [topic, source, group] = [`${client}-transact`, `${client}-source`, `${client}-transact-group`];
  await makeTopic(node, topic, WRITTEN_PARTITIONS);
  await makeTopic(node, source);
  await appendTo(node, source, 20);
  const transactionalId = `${client}-id`;
  const options = { bootstrap: node.bootstrap, topic, group };
  await drive(client, 'transact', { ...options, source, sourceOffset: 7, transactionalId });
  const kept = abilities.aborts ? [...recordsOf(0, 50), ...recordsOf(100, 150)] : recordsOf(0, 150);
  const reading = { ...options, group: `${group}-reading`, partitions: WRITTEN_PARTITIONS, count: kept.length };
  const { records } = await drive<{ records: SeenRecord[] }>(client, 'consume', { ...reading, committed: true });
  const told = ({ partition, value }: { partition: number; value: string | null }): string => `${partition} ${value}`;
  expect(records.map(told).toSorted()).toEqual(kept.map(told).toSorted());
  if (!abilities.aborts) return 'commits';
  // All lies in the log, and what ends each transaction: so it is the reader who was told what to leave out.
  const highest = node.log.topic(topic)!.partitions.reduce((sum, { highWatermark }) => sum + highWatermark, 0);
  expect(highest).toBe(150 + 3 * WRITTEN_PARTITIONS);
  expect(node.groups.committed(group, source, 0)).toMatchObject({ offset: 7 });
  return 'yes';
}

export async function consume({ client, abilities, node, mixed }: Setting): Promise<string> {
  const topic = abilities.compressions.length === 5 ? mixed.all : mixed.plain;
  const wanted = await readLog(node, topic);
  const options = { bootstrap: node.bootstrap, topic, group: `${client}-consume`, partitions: WRITTEN_PARTITIONS };
  const more = { committed: false, count: wanted.length };
  const { records } = await drive<{ records: SeenRecord[] }>(client, 'consume', { ...options, ...more });
  const byPlace = (one: SeenRecord, other: SeenRecord): number =>
    one.partition - other.partition || one.offset - other.offset;
  expect(records.toSorted(byPlace)).toEqual(wanted);
  return 'yes';
}

/** Members of one group, and what is appended for them. */
class Group {
  readonly #setting: Setting;
  readonly topic: string;
  readonly id: string;
  readonly wanted: string[] = [];
  readonly everyone: Member[] = [];

  private constructor(setting: Setting, topic: string) {
    this.#setting = setting;
    this.topic = topic;
    this.id = `${topic}-group`;
  }

  static async open(setting: Setting, name: string): Promise<Group> {
    const group = new Group(setting, `${setting.client}-${name}`);
    await makeTopic(setting.node, group.topic, MEMBER_PARTITIONS);
    setting.onTestFinished(() => Promise.all(group.everyone.map((member) => member.kill())).then(() => undefined));
    return group;
  }

  async start(how: { cooperative?: boolean; instance?: string; sessionMs?: number } = {}): Promise<Member> {
    const { client, node } = this.#setting;
    const place = { bootstrap: node.bootstrap, topic: this.topic, group: this.id };
    const member = await startMember(client, { ...place, sessionMs: 6000, cooperative: false, ...how });
    this.everyone.push(member);
    return member;
  }

  /** Appends so many records to each partition, and returns their values. */
  async append(count: number): Promise<string[]> {
    const values: string[] = [];
    for (const partition of this.#setting.node.log.topic(this.topic)!.partitions) {
      const own = Array.from({ length: count }, (_, index) => `${partition.index}-${partition.highWatermark + index}`);
      const records = own.map((value) => ({ timestampMs: Date.now(), key: null, value: Buffer.from(value) }));
      await partition.append(encodeBatch(records));
      values.push(...own);
    }
    this.wanted.push(...values);
    return values;
  }

  #told(): string {
    const { groups } = this.#setting.node;
    const { state, members = [] } = groups.describe(this.id) ?? {};
    const told = this.everyone.map(({ said, values }) => `${values.length} values, ${said.slice(-9).join('\n')}`);
    const heard = members.map(({ memberId, assignment }) => `${memberId}: ${assignment.length} bytes`);
    return [`${state}: ${heard.join(', ')}; ${JSON.stringify(groups.status())}`, ...told].join('\n---\n');
  }

  async shared(members: Member[]): Promise<void> {
    const isShared = (): boolean => {
      const all = members.flatMap(({ assigned }) => [...assigned]);
      return (
        members.every(({ assigned }) => assigned.size > 0) &&
        new Set(all).size === MEMBER_PARTITIONS &&
        all.length === MEMBER_PARTITIONS
      );
    };
    await until('all partitions have one member each', isShared, 60_000, () => this.#told());
  }

  async read(wanted: string[] = this.wanted): Promise<void> {
    const isRead = (): boolean => {
      const read = new Set(this.everyone.flatMap(({ values }) => values));
      return wanted.every((value) => read.has(value));
    };
    await until('everything is read', isRead, 60_000, () => this.#told());
  }

  async committed(): Promise<void> {
    const { groups, log } = this.#setting.node;
    const { partitions } = log.topic(this.topic)!;
    const isCommitted = (): boolean =>
      partitions.every(
        ({ index, highWatermark }) => groups.committed(this.id, this.topic, index)?.offset === highWatermark,
      );
    await until('everything is committed', isCommitted, 30_000, () => this.#told());
  }

  describe() {
    return this.#setting.node.groups.describe(this.id)!;
  }

  async left(): Promise<void> {
    await until(
      'all have left',
      () => this.describe().state === 'Empty',
      60_000,
      () => this.#told(),
    );
  }
}

/** Nothing is missed though a member is killed, and who comes later gets nothing that was committed before. */
export async function killed(setting: Setting): Promise<string> {
  const group = await Group.open(setting, 'three');
  await group.append(100);
  const [first, ...others] = await Promise.all([1, 2, 3].map(() => group.start()));
  await group.shared([first!, ...others]);
  await group.append(100);
  await group.read();
  await group.append(100);
  await first!.kill();
  await group.shared(others);
  await group.append(100);
  await group.read();
  await group.committed();
  await Promise.all(others.map((member) => member.stop()));
  await group.left();
  const later = await group.append(20);
  const next = await group.start();
  await group.read(later);
  expect(next.values.toSorted()).toEqual(later.toSorted());
  await next.stop();
  return 'yes';
}

/** Who has partitions keeps those that stay with it while another one joins. */
export async function cooperative(setting: Setting): Promise<string> {
  const group = await Group.open(setting, 'cooperative');
  const one = await group.start({ cooperative: true });
  await group.shared([one]);
  const before = one.revoked.length;
  const two = await group.start({ cooperative: true });
  await group.shared([one, two]);
  expect(group.describe().protocol).toBe('cooperative-sticky');
  expect(new Set(one.revoked.slice(before))).toEqual(two.assigned);
  await group.append(20);
  await group.read();
  await Promise.all([one.stop(), two.stop()]);
  return 'yes';
}

/** A static member that is killed and comes back has its partitions again, and nobody else notices. */
export async function staticMember(setting: Setting): Promise<string> {
  const group = await Group.open(setting, 'static');
  await group.append(20);
  const sessionMs = 60_000;
  const one = await group.start({ instance: 'one', sessionMs });
  const two = await group.start({ instance: 'two', sessionMs });
  await group.shared([one, two]);
  await group.read();
  const before = new Set(two.assigned);
  const undisturbed = one.revoked.length;
  await until('the group is stable', () => group.describe().state === 'Stable');
  await two.kill();
  const back = await group.start({ instance: 'two', sessionMs });
  await until(
    'it has its partitions',
    () => back.assigned.size === before.size,
    60_000,
    () => back.said.join('\n'),
  );
  await group.append(20);
  await group.read();
  expect(back.assigned).toEqual(before);
  expect(one.revoked).toHaveLength(undisturbed);
  const names = group.describe().members.map(({ instanceId }) => instanceId);
  expect(new Set(names)).toEqual(new Set(['one', 'two']));
  await Promise.all([one.stop(), back.stop()]);
  return 'yes';
}

export async function resume({ client, abilities, node }: Setting): Promise<string> {
  const [topic, group, metadata] = [`${client}-resume`, `${client}-resume-group`, 'up to here'];
  await makeTopic(node, topic);
  const values = await appendTo(node, topic, 50);
  const options = { bootstrap: node.bootstrap, topic, group, metadata };
  const first = await drive<Values>(client, 'resume', { ...options, count: 30 });
  expect(first.values).toEqual(values.slice(0, 30));
  const committed = node.groups.committed(group, topic, 0)!;
  expect(committed.offset).toBe(30);
  if (abilities.hasMetadata) expect(committed.metadata).toBe(abilities.metadataOf(metadata));
  const second = await drive<Values>(client, 'resume', { ...options, count: 20 });
  expect(second.values).toEqual(values.slice(30));
  expect(node.groups.committed(group, topic, 0)).toMatchObject({ offset: 50 });
  return 'yes';
}

interface Values {
  values: string[];
  offset: number;
}

/** Records a second apart, in batches of ten; returns their values. */
async function appendTo(node: Node, topic: string, count: number): Promise<string[]> {
  const values = Array.from({ length: count }, (_, index) => recordOf(index).value);
  const records = values.map((value, index) => ({
    timestampMs: 1_700_000_000_000 + index * 1000,
    key: null,
    value: Buffer.from(value),
  }));
  for (let at = 0; at < count; at += 10) {
    await node.log.topic(topic)!.partitions[0]!.append(encodeBatch(records.slice(at, at + 10)));
  }
  return values;
}

export async function seek({ client, node }: Setting): Promise<string> {
  const topic = `${client}-seek`;
  await makeTopic(node, topic);
  const values = await appendTo(node, topic, 50);
  const options = { bootstrap: node.bootstrap, topic, group: `${topic}-group`, timeMs: 1_700_000_033_500, count: 16 };
  const seen = await drive<Values>(client, 'seek', options);
  expect(seen).toMatchObject({ offset: 34, values: values.slice(34) });
  return 'yes';
}

const ADMIN_SEEN = {
  created: 2,
  grown: 3,
  config: '700000',
  nodes: [1],
  end: 20,
  start: 5,
  listed: true,
  state: 'Empty',
  committed: 7,
  moved: 11,
  gone: true,
  dropped: true,
};

export async function admin({ client, abilities, node }: Setting): Promise<string> {
  const [topic, group, made] = [`${client}-admin`, `${client}-admin-group`, `${client}-made`];
  await makeTopic(node, topic);
  await appendTo(node, topic, 20);
  const nobody = { memberId: '', instanceId: null, generation: -1 };
  await node.groups.commit(group, nobody, [{ topic, partition: 0, offset: 7, leaderEpoch: -1, metadata: '' }]);
  const { name, ...seen } = await drive<Record<string, unknown>>(client, 'admin', {
    bootstrap: node.bootstrap,
    topic,
    group,
    made,
  });
  expect(name).toBe('result');
  const wanted = Object.entries(ADMIN_SEEN).filter(([name]) => !abilities.noAdmin.includes(name));
  expect(seen).toEqual(Object.fromEntries(wanted));
  const { length } = Object.keys(ADMIN_SEEN);
  return wanted.length === length ? 'yes' : `${wanted.length} of ${length}`;
}
