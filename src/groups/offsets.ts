// What groups have committed: in memory all of it, on the card as marks of the log (see offset-marks.ts). So a commit of
// offsets joins the group commit of whatever else is written and costs the card no sync of its own; what is committed
// again unchanged, as clients do it every five seconds, is not written at all. (Rows of the tables would cost a sync each
// time, and records of a topic a compaction.) All marks are written again with each new segment, which is why there is a
// limit to their bytes.

import type { HeadwaterError } from '../errors.ts';
import type { Commit, Log, Topic } from '../log/log.ts';
import {
  decodeOffset,
  encodeOffset,
  GROUP,
  groupKey,
  groupOf,
  idOf,
  OFFSET,
  offsetKey,
  placeOf,
} from './offset-marks.ts';
import { encodeGroup, sizeOf, UPTIME, type Committed, type GroupKind, type GroupRow } from './offset-marks.ts';

export interface CommittedPartition extends Committed {
  topic: string;
  partition: number;
}

export interface KeptGroup {
  readonly id: string;
  type: string;
  kind: GroupKind;
  /** By the uptime clock; undefined while it has members. */
  idleSinceMs: number | undefined;
  /** The same on the card; undefined where nothing is written yet. */
  keptIdleSinceMs: number | null | undefined;
  readonly rows: Map<string, Row>;
}

interface Row {
  readonly topic: Topic;
  readonly partition: number;
  /** On the card. */
  kept: Committed | undefined;
  /** On its way there, in `commit`; null when it is being removed. */
  coming: Committed | null | undefined;
  commit: Commit | undefined;
}

export interface Offsets {
  get(groupId: string): KeptGroup | undefined;
  all(): Iterable<KeptGroup>;
  readonly size: number;
  /** Bytes of all marks. */
  bytes(): number;
  committed(groupId: string, topic: string, partition: number): Committed | undefined;
  /** Whether another value is on its way to the card. */
  isComing(groupId: string, topic: string, partition: number): boolean;
  committedBy(groupId: string): CommittedPartition[];
  /**
   * Keeps what is given: on the card, all of it or nothing, when it resolves. False, at once and with nothing changed,
   * when it would be more than may be kept, unless it `mustKeep`: what a transaction has committed was let in before.
   * Throws LOG_CLOSED.
   */
  commit(
    groupId: string,
    of: Omit<GroupRow, 'idleSince'>,
    entries: readonly Entry[],
    mustKeep?: boolean,
  ): Promise<boolean>;
  /** On return they are gone from the card. */
  removeRows(groupId: string, rows: readonly { topic: string; partition: number }[]): Promise<void>;
  remove(groupId: string): Promise<void>;
  /** Sets the group's own row, in the commit that is being gathered. */
  writeGroup(group: KeptGroup): void;
  /** Milliseconds for which headwater has run in all: no clock that jumps, and no time without power. */
  uptimeMs(): number;
  writeUptime(): void;
  close(): void;
}

export interface Entry extends Committed {
  topic: Topic;
  partition: number;
}

export interface OffsetsNeeds {
  log: Log;
  monotonicMs: () => number;
  /** Of all marks. */
  bytesMax: number;
  /** A group has no offsets left. */
  onGone: (groupId: string) => void;
}

export function openOffsets({ log, monotonicMs, bytesMax, onGone }: OffsetsNeeds): Offsets {
  const groups = new Map<string, KeptGroup>();
  const startMs = monotonicMs();
  const uptimeBefore = Number([...log.marks(UPTIME)][0]?.[1].toString() ?? 0);
  /** Topics that rows speak of, by name. */
  const topics = new Map<string, Topic>();
  let bytes = 0;

  load();
  const stopListening = log.onTopics(forgetTopics);

  function load(): void {
    const byId = new Map(log.topics().map((topic) => [topic.id.toString('base64url'), topic]));
    const rows = new Map([...log.marks(GROUP)].map(([key, value]) => [idOf(key), value] as const));
    for (const [key, value] of log.marks(OFFSET)) {
      const { topicId, partition, groupId } = placeOf(key);
      const topic = byId.get(topicId);
      if (topic?.partitions[partition] === undefined) {
        // The topic went, and the crash came before its offsets did.
        setMark(key, null);
        continue;
      }
      const group = groups.get(groupId) ?? restore(groupId, rows.get(groupId));
      rowOf(group, topic, partition).kept = decodeOffset(value);
      bytes += sizeOf(key, value);
    }
    for (const id of rows.keys()) if (!groups.has(id)) setMark(groupKey(id), null);
  }

  function restore(id: string, value: Buffer | undefined): KeptGroup {
    const row = value === undefined ? undefined : groupOf(value);
    const { type, kind, idleSince } = row ?? { type: '', kind: 'Classic', idleSince: null };
    // Nobody is in it yet. How long before the start it was last used is known as far as the row says.
    const idleSinceMs = idleSince ?? uptimeMs();
    const group: KeptGroup = { id, type, kind, idleSinceMs, keptIdleSinceMs: idleSince, rows: new Map() };
    groups.set(id, group);
    return group;
  }

  function rowOf(group: KeptGroup, topic: Topic, partition: number): Row {
    const key = rowKey(topic.name, partition);
    const known = group.rows.get(key);
    if (known?.topic.id.equals(topic.id) === true) return known;
    const row: Row = { topic, partition, kept: undefined, coming: undefined, commit: undefined };
    group.rows.set(key, row);
    topics.set(topic.name, topic);
    return row;
  }

  function setMark(key: string, value: Buffer | null): Commit {
    const commit = log.mark(key, value);
    // Who waits for it hears of an error.
    commit.whenDone(() => undefined);
    return commit;
  }

  function uptimeMs(): number {
    return Math.round(uptimeBefore + monotonicMs() - startMs);
  }

  async function commit(
    groupId: string,
    of: Omit<GroupRow, 'idleSince'>,
    entries: readonly Entry[],
    mustKeep = false,
  ): Promise<boolean> {
    if (entries.length === 0) return true;
    const known = groups.get(groupId);
    let growth = 0;
    for (const entry of entries) growth += bytesOf(groupId, entry, entry) - bytesAt(groupId, known, entry);
    if (growth > 0 && bytes + growth > bytesMax && !mustKeep) return false;
    const group = known ?? restoreNew(groupId, of);
    const waitsFor = new Set<Commit>();
    for (const { topic, partition, offset, leaderEpoch, metadata } of entries) {
      const row = rowOf(group, topic, partition);
      const written = write(group, row, { offset, leaderEpoch, metadata });
      if (written !== undefined) waitsFor.add(written);
    }
    if (group.keptIdleSinceMs === undefined) writeGroup(group);
    await Promise.all([...waitsFor].map((each) => each.done()));
    return true;
  }

  function restoreNew(id: string, { type, kind }: Omit<GroupRow, 'idleSince'>): KeptGroup {
    const group: KeptGroup = {
      id,
      type,
      kind,
      idleSinceMs: type === '' ? uptimeMs() : undefined,
      keptIdleSinceMs: undefined,
      rows: new Map(),
    };
    groups.set(id, group);
    return group;
  }

  /** The commit that brings the value to the card; undefined when it lies there. */
  function write(group: KeptGroup, row: Row, value: Committed | null): Commit | undefined {
    const last = row.commit === undefined ? row.kept : row.coming;
    if (value !== null && last !== undefined && last !== null && isSame(last, value)) return row.commit;
    const key = offsetKey(row.topic, row.partition, group.id);
    const encoded = value === null ? null : encodeOffset(value);
    const commit = log.mark(key, encoded);
    bytes += sizeOf(key, encoded) - sizeOf(key, last === undefined || last === null ? null : encodeOffset(last));
    row.coming = value;
    row.commit = commit;
    commit.whenDone((error) => settle(group, row, commit, value, error));
    return commit;
  }

  function settle(
    group: KeptGroup,
    row: Row,
    commit: Commit,
    value: Committed | null,
    error: HeadwaterError | undefined,
  ): void {
    // Only a log that is closed meanwhile fails.
    if (error !== undefined) return;
    row.kept = value ?? undefined;
    // Another one may have joined behind it.
    if (row.commit !== commit) return;
    row.commit = undefined;
    row.coming = undefined;
    if (value === null) drop(group, row);
  }

  function drop(group: KeptGroup, row: Row): void {
    const key = rowKey(row.topic.name, row.partition);
    if (group.rows.get(key) === row) group.rows.delete(key);
    if (group.rows.size > 0 || groups.get(group.id) !== group) return;
    groups.delete(group.id);
    setMark(groupKey(group.id), null);
    onGone(group.id);
  }

  function bytesAt(groupId: string, group: KeptGroup | undefined, { topic, partition }: Entry): number {
    const row = group?.rows.get(rowKey(topic.name, partition));
    const last = row?.commit === undefined ? row?.kept : row.coming;
    return last === undefined || last === null ? 0 : bytesOf(groupId, { topic, partition }, last);
  }

  function writeGroup(group: KeptGroup): void {
    const idleSince = group.idleSinceMs ?? null;
    group.keptIdleSinceMs = idleSince;
    setMark(groupKey(group.id), encodeGroup({ type: group.type, kind: group.kind, idleSince }));
  }

  async function removeRowsOf(group: KeptGroup, rows: Iterable<Row>): Promise<void> {
    const waitsFor = new Set<Commit>();
    for (const row of rows) {
      const written = write(group, row, null);
      if (written !== undefined) waitsFor.add(written);
    }
    await Promise.all([...waitsFor].map((each) => each.done()));
  }

  /** False for one that is gone, also where another one has its name. */
  function isThere(topic: Topic): boolean {
    return log.topic(topic.name)?.id.equals(topic.id) === true;
  }

  /** Offsets of topics that are gone, or that were made anew, go too. */
  function forgetTopics(): void {
    const gone = new Set([...topics.values()].filter((topic) => !isThere(topic)));
    if (gone.size === 0) return;
    for (const { name } of gone) topics.delete(name);
    for (const group of groups.values()) {
      const rows = [...group.rows.values()].filter((row) => gone.has(row.topic));
      // Whoever closes the log meanwhile finds them at the next start.
      removeRowsOf(group, rows).catch(() => undefined);
    }
  }

  return {
    get: (groupId) => groups.get(groupId),
    all: () => groups.values(),
    get size() {
      return groups.size;
    },
    bytes: () => bytes,
    committed(groupId, topic, partition) {
      const row = groups.get(groupId)?.rows.get(rowKey(topic, partition));
      return row !== undefined && isThere(row.topic) ? row.kept : undefined;
    },
    isComing: (groupId, topic, partition) =>
      groups.get(groupId)?.rows.get(rowKey(topic, partition))?.commit !== undefined,
    committedBy(groupId) {
      const rows = [...(groups.get(groupId)?.rows.values() ?? [])].filter(({ topic }) => isThere(topic));
      return rows.flatMap(({ topic, partition, kept }) => (kept ? [{ topic: topic.name, partition, ...kept }] : []));
    },
    commit,
    async removeRows(groupId, wanted) {
      const group = groups.get(groupId);
      if (group === undefined) return;
      const rows = wanted.map(({ topic, partition }) => group.rows.get(rowKey(topic, partition)));
      await removeRowsOf(
        group,
        rows.filter((row) => row !== undefined),
      );
    },
    async remove(groupId) {
      const group = groups.get(groupId);
      if (group !== undefined) await removeRowsOf(group, [...group.rows.values()]);
    },
    writeGroup,
    uptimeMs,
    writeUptime: () => void setMark(UPTIME, Buffer.from(String(uptimeMs()))),
    close: stopListening,
  };
}

/** A topic's name has no blank. */
function rowKey(topic: string, partition: number): string {
  return `${topic} ${partition}`;
}

function bytesOf(groupId: string, { topic, partition }: Pick<Entry, 'topic' | 'partition'>, value: Committed): number {
  return sizeOf(offsetKey(topic, partition, groupId), encodeOffset(value));
}

function isSame(left: Committed, right: Committed): boolean {
  return left.offset === right.offset && left.leaderEpoch === right.leaderEpoch && left.metadata === right.metadata;
}
