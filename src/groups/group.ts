// One consumer group as a pure state machine: (state, input) -> state and outputs. It has no timers and no sockets: time
// comes in with the inputs, and wakeMs() says when it wants to be ticked. join.ts has what JoinGroup does.

import { KafkaError } from '../formats/kafka/codes.ts';
import { join } from './join.ts';
import {
  change,
  completeIfAllJoined,
  completeJoin,
  currentSync,
  enter,
  goOn,
  heard,
  removeMember,
  type Turn,
} from './rebalance.ts';
import { holderOf, refusedSync, syncOutput, type Group, type GroupRules, type Input, type Output } from './state.ts';
import type { Member, Speaker, SyncInput } from './state.ts';

export interface Step {
  group: Group;
  outputs: Output[];
}

/** The state after `input`, and the answers that it brought about. The state before is untouched. */
export function step(group: Group, input: Input, rules: GroupRules): Step {
  if (input.kind === 'stood') return { group: shifted(group, input.byMs), outputs: [] };
  const copy = { ...group, members: new Map(group.members), pending: new Map(group.pending) };
  const turn: Turn = { group: copy, outputs: [], nowMs: input.nowMs, rules };
  switch (input.kind) {
    case 'join':
      join(turn, input);
      break;
    case 'sync':
      sync(turn, input);
      break;
    case 'heartbeat':
      answer(turn, input.ticket, heartbeat(turn, input));
      break;
    case 'commit':
      answer(turn, input.ticket, commit(turn, input));
      break;
    case 'leave':
      answer(turn, input.ticket, leave(turn, input.memberId, input.instanceId));
      break;
    case 'delete':
      answer(turn, input.ticket, remove(turn));
      break;
    case 'tick':
      tick(turn);
  }
  return { group: copy, outputs: turn.outputs };
}

/** When the group must be ticked; Infinity when it waits for nothing. */
export function wakeMs(group: Group): number {
  let wake = Math.min(group.deadlineMs ?? Infinity, group.gather?.untilMs ?? Infinity);
  for (const lapseMs of group.pending.values()) wake = Math.min(wake, lapseMs);
  for (const member of group.members.values()) if (canLapse(member)) wake = Math.min(wake, member.deadlineMs);
  return wake;
}

/** Who waits for an answer can't be heard; only one that never had an answer may be gone without our knowing. */
function canLapse({ joining, syncing, isNew }: Member): boolean {
  return (joining === undefined && syncing === undefined) || isNew;
}

function answer({ outputs }: Turn, ticket: number, errorCode: number): void {
  outputs.push({ kind: 'code', ticket, errorCode });
}

/** What is wrong with who speaks. */
function refusalOf(group: Group, { memberId, instanceId, generation }: Speaker): number {
  if (group.phase === 'Dead') return KafkaError.COORDINATOR_NOT_AVAILABLE;
  if (instanceId !== null) {
    const holder = holderOf(group, instanceId);
    if (holder === undefined) return KafkaError.UNKNOWN_MEMBER_ID;
    if (holder.id !== memberId) return KafkaError.FENCED_INSTANCE_ID;
  }
  if (!group.members.has(memberId)) return KafkaError.UNKNOWN_MEMBER_ID;
  return generation === group.generation ? KafkaError.NONE : KafkaError.ILLEGAL_GENERATION;
}

function sync(turn: Turn, input: SyncInput): void {
  const { group, outputs, nowMs } = turn;
  const refusal = syncRefusalOf(turn, input);
  if (refusal !== KafkaError.NONE) {
    outputs.push(syncOutput(input.ticket, refusedSync(refusal)));
    return;
  }
  const member = group.members.get(input.memberId)!;
  if (member.syncing !== undefined)
    outputs.push(syncOutput(member.syncing, refusedSync(KafkaError.REBALANCE_IN_PROGRESS)));
  const deadlineMs = nowMs + member.sessionTimeoutMs;
  const asking = change(turn, member, { hasSynced: true, syncing: undefined, deadlineMs });
  if (group.phase === 'Stable') {
    outputs.push({ kind: 'sync', ticket: input.ticket, answer: currentSync(group, asking) });
  } else {
    change(turn, asking, { syncing: input.ticket });
    if (group.leaderId === member.id) assign(turn, input.assignments);
  }
  if (group.phase === 'Stable' && [...group.members.values()].every((each) => each.hasSynced)) {
    group.deadlineMs = undefined;
  }
}

function syncRefusalOf({ group, rules }: Turn, input: SyncInput): number {
  const refusal = refusalOf(group, input);
  if (refusal !== KafkaError.NONE) return refusal;
  const isOther = (wanted: string | null, own: string | null): boolean => wanted !== null && wanted !== own;
  if (isOther(input.protocolType, group.protocolType) || isOther(input.protocol, group.protocol)) {
    return KafkaError.INCONSISTENT_GROUP_PROTOCOL;
  }
  if (group.phase === 'PreparingRebalance') return KafkaError.REBALANCE_IN_PROGRESS;
  let bytes = 0;
  for (const assignment of input.assignments.values()) bytes += assignment.length;
  // Kafka's own answer where the group does not fit a record of its offsets topic.
  return bytes > rules.bytesMax ? KafkaError.UNKNOWN_SERVER_ERROR : KafkaError.NONE;
}

/** The leader has spoken: whoever waits gets its share, the others when they ask. */
function assign(turn: Turn, assignments: ReadonlyMap<string, Buffer>): void {
  const { group, outputs, nowMs } = turn;
  const { deadlineMs } = group;
  enter(turn, 'Stable');
  group.deadlineMs = deadlineMs;
  for (const member of group.members.values()) {
    const assigned = change(turn, member, { assignment: assignments.get(member.id) ?? Buffer.alloc(0) });
    if (assigned.syncing === undefined) continue;
    outputs.push({ kind: 'sync', ticket: assigned.syncing, answer: currentSync(group, assigned) });
    change(turn, assigned, { syncing: undefined, deadlineMs: nowMs + member.sessionTimeoutMs });
  }
}

function heartbeat(turn: Turn, speaker: Speaker): number {
  const { group } = turn;
  const refusal = refusalOf(group, speaker);
  if (refusal !== KafkaError.NONE) return refusal;
  heard(turn, group.members.get(speaker.memberId)!);
  return group.phase === 'PreparingRebalance' ? KafkaError.REBALANCE_IN_PROGRESS : KafkaError.NONE;
}

function commit(turn: Turn, speaker: Speaker & { isTransactional?: boolean }): number {
  const { group } = turn;
  const { isTransactional = false } = speaker;
  const isAlone = speaker.generation < 0 && speaker.memberId === '' && speaker.instanceId === null;
  // Who commits without the group's knowledge, such as a tool, may do so while nobody is in it.
  if (group.phase === 'Empty' && speaker.generation < 0) return KafkaError.NONE;
  // A producer that says nothing of a member was told the offsets by one: clients before 2.5 do so.
  if (isAlone && isTransactional && group.phase !== 'Dead') return KafkaError.NONE;
  if (isAlone) return group.phase === 'Dead' ? KafkaError.COORDINATOR_NOT_AVAILABLE : KafkaError.UNKNOWN_MEMBER_ID;
  const refusal = refusalOf(group, speaker);
  if (refusal !== KafkaError.NONE) return refusal;
  heard(turn, group.members.get(speaker.memberId)!);
  const isMoving = group.phase === 'CompletingRebalance' && !isTransactional;
  return isMoving ? KafkaError.REBALANCE_IN_PROGRESS : KafkaError.NONE;
}

/** A static member may be taken out by its name alone: so do tools. */
function leave(turn: Turn, memberId: string, instanceId: string | null): number {
  const { group } = turn;
  if (group.phase === 'Dead') return KafkaError.COORDINATOR_NOT_AVAILABLE;
  if (instanceId === null && group.pending.delete(memberId)) {
    completeIfAllJoined(turn);
    return KafkaError.NONE;
  }
  const member = instanceId === null ? group.members.get(memberId) : holderOf(group, instanceId);
  if (member === undefined) return KafkaError.UNKNOWN_MEMBER_ID;
  if (instanceId !== null && memberId !== '' && member.id !== memberId) return KafkaError.FENCED_INSTANCE_ID;
  removeMember(turn, member, KafkaError.UNKNOWN_MEMBER_ID);
  goOn(turn);
  return KafkaError.NONE;
}

function remove(turn: Turn): number {
  const { group } = turn;
  if (group.phase === 'Dead') return KafkaError.GROUP_ID_NOT_FOUND;
  if (group.phase !== 'Empty') return KafkaError.NON_EMPTY_GROUP;
  enter(turn, 'Dead');
  group.pending.clear();
  return KafkaError.NONE;
}

function tick(turn: Turn): void {
  const { group, nowMs } = turn;
  for (const [id, lapseMs] of group.pending) if (lapseMs <= nowMs) group.pending.delete(id);
  const isSyncOver = group.phase !== 'PreparingRebalance' && (group.deadlineMs ?? Infinity) <= nowMs;
  if (isSyncOver) group.deadlineMs = undefined;
  const late = [...group.members.values()].filter(
    (member) => (canLapse(member) && member.deadlineMs <= nowMs) || (isSyncOver && !member.hasSynced),
  );
  for (const member of late) removeMember(turn, member, KafkaError.UNKNOWN_MEMBER_ID);
  if (late.length > 0) goOn(turn);
  if (group.phase === 'PreparingRebalance') tickRebalance(turn);
}

function tickRebalance(turn: Turn): void {
  const { group, nowMs, rules } = turn;
  const { gather } = group;
  if (gather !== undefined && gather.untilMs <= nowMs) {
    const isLast = !gather.hasGrown || gather.latestMs <= nowMs;
    const untilMs = Math.min(nowMs + rules.initialDelayMs, gather.latestMs);
    if (isLast) completeJoin(turn);
    else group.gather = { ...gather, untilMs, hasGrown: false };
  } else if (gather === undefined && group.deadlineMs !== undefined && group.deadlineMs <= nowMs) {
    completeJoin(turn);
  } else {
    completeIfAllJoined(turn);
  }
}

function shifted(group: Group, byMs: number): Group {
  const { gather, deadlineMs } = group;
  const later = (ms: number): number => ms + byMs;
  return {
    ...group,
    deadlineMs: deadlineMs === undefined ? undefined : later(deadlineMs),
    gather: gather && { ...gather, untilMs: later(gather.untilMs), latestMs: later(gather.latestMs) },
    pending: new Map([...group.pending].map(([id, ms]) => [id, later(ms)])),
    members: new Map([...group.members].map(([id, each]) => [id, { ...each, deadlineMs: later(each.deadlineMs) }])),
  };
}
