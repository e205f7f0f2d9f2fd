// What people and their tools ask of groups: which there are, what is in them, and that they, or some of their offsets, go.

import { KafkaError } from '../formats/kafka/codes.ts';
import { subscribedTopics } from '../formats/kafka/subscription.ts';
import type { Log } from '../log/log.ts';
import type { Coordinator } from './coordinator.ts';
import type { GroupDescription, Groups, GroupSummary } from './groups.ts';
import type { Incremental } from './incremental/incremental.ts';
import { NO_GROUP, stateOf, topicsOf, type Group as IncrementalGroup } from './incremental/state.ts';
import type { Offsets } from './offsets.ts';
import { metadataOf, type Group } from './state.ts';

export interface AdministrationNeeds {
  log: Log;
  coordinator: Coordinator;
  incremental: Incremental;
  offsets: Offsets;
}

export type Administration = Pick<Groups, 'list' | 'describe' | 'incremental' | 'remove' | 'removeOffsets'>;

export function administer({ log, coordinator, incremental, offsets }: AdministrationNeeds): Administration {
  async function remove(groupId: string): Promise<number> {
    if (incremental.group(groupId) !== undefined) return KafkaError.NON_EMPTY_GROUP;
    const group = coordinator.group(groupId);
    if (group === undefined && offsets.get(groupId) === undefined) return KafkaError.GROUP_ID_NOT_FOUND;
    const code = coordinator.ask(groupId, { kind: 'delete' });
    if (code === KafkaError.NONE) await offsets.remove(groupId);
    return code;
  }

  async function removeOffsets(
    groupId: string,
    partitions: readonly { topic: string; partition: number }[],
  ): Promise<{ errorCode: number; codes: number[] }> {
    const group = coordinator.group(groupId);
    const newer = incremental.group(groupId);
    const isKnown = (newer ?? group) !== undefined || offsets.get(groupId) !== undefined;
    if (!isKnown) return { errorCode: KafkaError.GROUP_ID_NOT_FOUND, codes: [] };
    const busy = newer === undefined ? topicsInUse(group) : topicsRead(newer);
    // Whoever is in it with another protocol has no subscriptions that could be read.
    if (busy === undefined) return { errorCode: KafkaError.NON_EMPTY_GROUP, codes: [] };
    const codes = partitions.map(({ topic, partition }) => {
      if (log.topic(topic)?.partitions[partition] === undefined) return KafkaError.UNKNOWN_TOPIC_OR_PARTITION;
      return busy.has(topic) ? KafkaError.GROUP_SUBSCRIBED_TO_TOPIC : KafkaError.NONE;
    });
    await offsets.removeRows(
      groupId,
      partitions.filter((_, index) => codes[index] === KafkaError.NONE),
    );
    return { errorCode: KafkaError.NONE, codes };
  }

  function summaryOf(id: string): GroupSummary {
    const newer = incremental.group(id);
    if (newer !== undefined) return { id, protocolType: 'consumer', kind: 'Consumer', state: stateOf(newer) };
    const group = coordinator.group(id);
    const kept = offsets.get(id);
    const kind = group === undefined ? (kept?.kind ?? 'Classic') : 'Classic';
    return { id, protocolType: group?.protocolType ?? kept?.type ?? '', kind, state: group?.phase ?? 'Empty' };
  }

  function list(): GroupSummary[] {
    const ids = new Set([...coordinator.ids()].filter((id) => isTold(coordinator.group(id)!)));
    for (const id of incremental.ids()) ids.add(id);
    for (const { id } of offsets.all()) ids.add(id);
    return [...ids].toSorted().map(summaryOf);
  }

  function describe(groupId: string): GroupDescription | undefined {
    const group = coordinator.group(groupId);
    const newer = incremental.group(groupId);
    const isKnown = (group !== undefined && isTold(group)) || (newer ?? offsets.get(groupId)) !== undefined;
    if (!isKnown) return undefined;
    const summary = summaryOf(groupId);
    if (newer === undefined) return { ...summary, ...classicMembers(group) };
    const members = [...newer.members.values()].map(({ id, instanceId, clientId, clientHost }) => {
      return { memberId: id, instanceId, clientId, clientHost, metadata: NO_BYTES, assignment: NO_BYTES };
    });
    return { ...summary, protocol: newer.assignor, members };
  }

  return {
    list,
    describe,
    incremental(groupId) {
      const isEmpty = offsets.get(groupId)?.kind === 'Consumer' && coordinator.group(groupId) === undefined;
      return incremental.group(groupId) ?? (isEmpty ? NO_GROUP : undefined);
    },
    remove,
    removeOffsets,
  };
}

const NO_BYTES = Buffer.alloc(0);

function classicMembers(group: Group | undefined): Pick<GroupDescription, 'protocol' | 'members'> {
  const isAgreed = group?.phase === 'Stable';
  const members = [...(group?.members.values() ?? [])].map((member) => ({
    memberId: member.id,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    metadata: isAgreed ? metadataOf(member, group.protocol) : NO_BYTES,
    assignment: isAgreed ? member.assignment : NO_BYTES,
  }));
  return { protocol: isAgreed ? (group.protocol ?? '') : '', members };
}

/** A group that has only given out ids does not exist yet. */
function isTold(group: Group): boolean {
  return group.phase !== 'Empty' || group.generation > 0;
}

/** Topics that members want; undefined where their metadata tells nothing of topics. */
function topicsInUse(group: Group | undefined): Set<string> | undefined {
  const topics = new Set<string>();
  if (group === undefined || group.members.size === 0) return topics;
  if (group.protocolType !== 'consumer') return undefined;
  for (const { protocols } of group.members.values()) {
    for (const { metadata } of protocols) for (const topic of subscribedTopics(metadata)) topics.add(topic);
  }
  return topics;
}

function topicsRead(group: IncrementalGroup): Set<string> {
  return new Set([...group.members.values()].flatMap((member) => [...topicsOf(group, member)]));
}
