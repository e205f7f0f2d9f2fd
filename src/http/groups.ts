// Consumer groups over REST: list, describe, reset, delete.
//
//   GET    /groups                 [{id, protocolType, kind, state, members, lag}]; kind: Classic or Consumer
//   GET    /groups/:group          the same, its protocol, each member, and each offset with what is behind it
//   POST   /groups/:group/offsets  {"topic": "t", "partition": 0, "to": "start"}: what it goes on with; without a
//                                  partition all of them; with "dryRun": true nothing is changed
//   DELETE /groups/:group          on return its offsets are gone
//
// Where a group has members, its offsets are theirs: 409.

import { HeadwaterError } from '../errors.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import type { GroupDescription, Groups } from '../groups/groups.ts';
import type { Log } from '../log/log.ts';
import { json, readValues, type Answer, type Exchange } from './exchange.ts';
import { findPartition, placeOf } from './records.ts';
import { findTopic } from './topics.ts';

interface GroupLine {
  id: string;
  protocolType: string;
  kind: GroupDescription['kind'];
  state: string;
  members: number;
  /** Records behind what it has committed. */
  lag: number;
}

interface GroupOffset {
  topic: string;
  partition: number;
  offset: number;
  logStart: number;
  highWatermark: number;
  lag: number;
  metadata: string;
}

interface GroupDetail extends GroupLine {
  protocol: string;
  each: { memberId: string; instanceId: string | null; clientId: string; clientHost: string }[];
  offsets: GroupOffset[];
}

interface GroupReset {
  group: string;
  isDry: boolean;
  offsets: { topic: string; partition: number; before: number | null; offset: number }[];
}

export interface GroupsOf {
  log: Log;
  groups: Groups;
}

export function listGroups(rooms: GroupsOf): Answer {
  const lines = rooms.groups.list().map(({ id }) => lineOf(rooms, find(rooms.groups, id)));
  return json(200, lines satisfies GroupLine[]);
}

export function describeGroup(rooms: GroupsOf, { params }: Exchange): Answer {
  const group = find(rooms.groups, params.get('group'));
  const each = group.members.map(({ memberId, instanceId, clientId, clientHost }) => {
    return { memberId, instanceId, clientId, clientHost: clientHost.replace(/^\//, '') };
  });
  const detail: GroupDetail = {
    ...lineOf(rooms, group),
    protocol: group.protocol,
    each,
    offsets: offsetsOf(rooms, group.id),
  };
  return json(200, detail);
}

export async function deleteGroup({ groups }: GroupsOf, { params }: Exchange): Promise<Answer> {
  const { id } = find(groups, params.get('group'));
  if ((await groups.remove(id)) === KafkaError.NON_EMPTY_GROUP) throw busy(id);
  return json(200, { deleted: id });
}

export async function resetGroup({ log, groups }: GroupsOf, { request, params }: Exchange): Promise<Answer> {
  const groupId = params.get('group') ?? '';
  const { topic: name, partition: index, to, dryRun } = await wishOf(request);
  const topic = findTopic(log, name);
  const partitions = index === undefined ? topic.partitions : [findPartition(topic, String(index))];
  if ((groups.describe(groupId)?.members.length ?? 0) > 0) throw busy(groupId);
  const offsets: GroupReset['offsets'] = [];
  for (const partition of partitions) {
    const before = groups.committed(groupId, name, partition.index)?.offset ?? null;
    offsets.push({ topic: name, partition: partition.index, before, offset: await placeOf(partition, to) });
  }
  if (!dryRun) await commit(groups, groupId, offsets);
  return json(200, { group: groupId, isDry: dryRun, offsets } satisfies GroupReset);
}

async function commit(groups: Groups, groupId: string, offsets: GroupReset['offsets']): Promise<void> {
  const nobody = { memberId: '', instanceId: null, generation: -1 };
  const codes = await groups.commit(
    groupId,
    nobody,
    offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset, leaderEpoch: -1, metadata: '' })),
  );
  const refusal = codes.find((code) => code !== KafkaError.NONE);
  if (refusal === KafkaError.UNKNOWN_MEMBER_ID) throw busy(groupId);
  if (refusal !== undefined) {
    throw new HeadwaterError('LOG_FULL', `the offsets of group ${groupId} were refused (Kafka's error ${refusal})`);
  }
}

async function wishOf(
  request: Exchange['request'],
): Promise<{ topic: string; partition: number | undefined; to: string; dryRun: boolean }> {
  const [value] = await readValues(request);
  const { topic, partition, to, dryRun = false, ...stray } = (value ?? {}) as Record<string, unknown>;
  const isSound =
    typeof topic === 'string' &&
    (partition === undefined || typeof partition === 'number') &&
    (typeof to === 'string' || typeof to === 'number') &&
    typeof dryRun === 'boolean' &&
    Object.keys(stray).length === 0;
  if (isSound) return { topic, partition, to: String(to), dryRun };
  throw new HeadwaterError('USAGE', 'a reset has a topic, where to go (`to`), and may have a partition and `dryRun`');
}

function lineOf(rooms: GroupsOf, { id, protocolType, kind, state, members }: GroupDescription): GroupLine {
  const lag = offsetsOf(rooms, id).reduce((sum, each) => sum + each.lag, 0);
  return { id, protocolType, kind, state, members: members.length, lag };
}

function offsetsOf({ log, groups }: GroupsOf, groupId: string): GroupOffset[] {
  const found: GroupOffset[] = [];
  for (const { topic, partition, offset, metadata } of groups.committedBy(groupId)) {
    const known = log.topic(topic)?.partitions[partition];
    if (known === undefined) continue;
    const { logStart, highWatermark } = known;
    const lag = Math.max(0, highWatermark - Math.max(offset, logStart));
    found.push({ topic, partition, offset, logStart, highWatermark, lag, metadata });
  }
  return found.toSorted((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}

function find(groups: Groups, id = ''): GroupDescription {
  const group = groups.describe(id);
  if (group !== undefined) return group;
  throw new HeadwaterError('GROUP_UNKNOWN', `there is no group ${JSON.stringify(id)}`);
}

function busy(id: string): HeadwaterError {
  return new HeadwaterError('GROUP_BUSY', `group ${id} has members: stop its consumers first`);
}
