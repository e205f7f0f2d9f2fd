// The marks of the log that hold what groups have committed.
//
//   offset/<topic id, base64url>/<partition>/<group>  -> JSON [offset, leader epoch, metadata]
//   group/<group>                                     -> JSON {"type": protocol type, "kind": that of its last members,
//                                                              "idleSince": uptime ms or null}
//   groups/uptime                                     -> milliseconds for which headwater has run, decimal
//
// A topic that is made anew has another id, so offsets of the old one are never taken for its. A group's name stands
// last, since anything may be in it.

import type { Topic } from '../log/log.ts';

export interface Committed {
  offset: number;
  leaderEpoch: number;
  metadata: string;
}

/** By the names that Kafka gives them. */
export type GroupKind = 'Classic' | 'Consumer';

export interface GroupRow {
  type: string;
  kind: GroupKind;
  idleSince: number | null;
}

export const OFFSET = 'offset/';
export const GROUP = 'group/';
export const UPTIME = 'groups/uptime';

export function offsetKey(topic: Topic, partition: number, groupId: string): string {
  return `${OFFSET}${topic.id.toString('base64url')}/${partition}/${groupId}`;
}

export function placeOf(key: string): { topicId: string; partition: number; groupId: string } {
  const [, topicId = '', partition = '', ...rest] = key.split('/');
  return { topicId, partition: Number(partition), groupId: rest.join('/') };
}

export function encodeOffset({ offset, leaderEpoch, metadata }: Committed): Buffer {
  return Buffer.from(JSON.stringify([offset, leaderEpoch, metadata]));
}

export function decodeOffset(value: Buffer): Committed {
  const [offset, leaderEpoch, metadata] = JSON.parse(value.toString()) as [number, number, string];
  return { offset, leaderEpoch, metadata };
}

export function groupKey(groupId: string): string {
  return GROUP + groupId;
}

export function idOf(key: string): string {
  return key.slice(GROUP.length);
}

export function encodeGroup(row: GroupRow): Buffer {
  return Buffer.from(JSON.stringify(row));
}

export function groupOf(value: Buffer): GroupRow {
  return { kind: 'Classic', ...(JSON.parse(value.toString()) as Omit<GroupRow, 'kind'>) };
}

export function sizeOf(key: string, value: Buffer | null): number {
  return value === null ? 0 : key.length + value.length;
}
