// JoinGroup: a member comes, comes again, or comes back after a restart under its static name.

import { KafkaError } from '../formats/kafka/codes.ts';
import {
  awaitJoin,
  change,
  completeIfAllJoined,
  currentJoin,
  heard,
  membersFor,
  prepareRebalance,
  removeMember,
  type Turn,
} from './rebalance.ts';
import {
  bytesGiven,
  bytesOf,
  chooseProtocol,
  holderOf,
  isCommon,
  refusedJoin,
  joinOutput,
  type Group,
  type GroupRules,
  type JoinInput,
  type Member,
  type Protocol,
} from './state.ts';

export function join(turn: Turn, input: JoinInput): void {
  const { group, outputs } = turn;
  const refusal = refusalOf(group, input, turn.rules);
  if (refusal !== KafkaError.NONE) {
    // A client takes this for final: it will not come back with its id.
    if (refusal === KafkaError.GROUP_MAX_SIZE_REACHED) group.pending.delete(input.memberId);
    outputs.push(joinOutput(input.ticket, refusedJoin(refusal, input.memberId)));
    return;
  }
  if (input.memberId === '') joinNew(turn, input);
  else if (group.pending.delete(input.memberId)) addMember(turn, input, input.memberId);
  else joinAgain(turn, input, group.members.get(input.memberId)!);
}

function refusalOf(group: Group, input: JoinInput, rules: GroupRules): number {
  const { memberId, instanceId, sessionTimeoutMs } = input;
  if (group.phase === 'Dead') return KafkaError.COORDINATOR_NOT_AVAILABLE;
  if (sessionTimeoutMs < rules.sessionTimeoutMsMin || sessionTimeoutMs > rules.sessionTimeoutMsMax) {
    return KafkaError.INVALID_SESSION_TIMEOUT;
  }
  if (!suits(group, input)) return KafkaError.INCONSISTENT_GROUP_PROTOCOL;
  const holder = instanceId === null ? undefined : holderOf(group, instanceId);
  const known = memberId === '' ? holder : group.members.get(memberId);
  if (memberId !== '' && !group.pending.has(memberId)) {
    if (instanceId !== null && holder === undefined) return KafkaError.UNKNOWN_MEMBER_ID;
    if (holder !== undefined && holder.id !== memberId) return KafkaError.FENCED_INSTANCE_ID;
    if (known === undefined) return KafkaError.UNKNOWN_MEMBER_ID;
  }
  return hasRoom(group, input, known, rules) ? KafkaError.NONE : KafkaError.GROUP_MAX_SIZE_REACHED;
}

/** Of the group's type, with a protocol that all members have. */
function suits(group: Group, { protocolType, protocols }: JoinInput): boolean {
  if (protocolType === '' || protocols.length === 0) return false;
  if (group.members.size === 0) return true;
  return protocolType === group.protocolType && protocols.some(({ name }) => isCommon(group, name));
}

function hasRoom(group: Group, input: JoinInput, known: Member | undefined, rules: GroupRules): boolean {
  const isCounted = known !== undefined || group.pending.has(input.memberId);
  if (!isCounted && group.members.size + group.pending.size >= rules.membersMax) return false;
  const before = known === undefined ? 0 : bytesGiven(known);
  return bytesOf(group) - before + bytesGiven(input) <= rules.bytesMax;
}

function joinNew(turn: Turn, input: JoinInput): void {
  const { group, outputs, nowMs } = turn;
  const holder = input.instanceId === null ? undefined : holderOf(group, input.instanceId);
  if (holder !== undefined) {
    takePlace(turn, input, holder);
  } else if (input.instanceId === null && input.takesIdFirst) {
    group.pending.set(input.newMemberId, nowMs + input.sessionTimeoutMs);
    outputs.push(joinOutput(input.ticket, refusedJoin(KafkaError.MEMBER_ID_REQUIRED, input.newMemberId)));
  } else {
    addMember(turn, input, input.newMemberId);
  }
}

function addMember(turn: Turn, input: JoinInput, id: string): void {
  const { group, nowMs } = turn;
  const { instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = input;
  if (group.members.size === 0) group.protocolType = input.protocolType;
  group.leaderId ??= id;
  const member: Member = {
    id,
    instanceId,
    clientId,
    clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    protocols,
    assignment: Buffer.alloc(0),
    joining: undefined,
    syncing: undefined,
    hasSynced: false,
    isNew: true,
    deadlineMs: nowMs,
  };
  awaitJoin(turn, member, input.ticket);
  if (group.gather !== undefined) group.gather = { ...group.gather, hasGrown: true };
  prepareRebalance(turn);
  completeIfAllJoined(turn);
}

function joinAgain(turn: Turn, input: JoinInput, member: Member): void {
  const { group, outputs } = turn;
  const isSame = hasSameProtocols(member.protocols, input.protocols);
  const mayKeep = group.phase === 'CompletingRebalance' || (group.phase === 'Stable' && group.leaderId !== member.id);
  if (isSame && mayKeep) {
    // It has not got the answer, or asks again without need: nothing changes.
    heard(turn, member);
    outputs.push({ kind: 'join', ticket: input.ticket, answer: currentJoin(group, member) });
    return;
  }
  awaitJoin(turn, renewed(turn, input, member), input.ticket);
  // prepareRebalance answers what waits of a SyncGroup.
  prepareRebalance(turn);
  completeIfAllJoined(turn);
}

function hasSameProtocols(left: readonly Protocol[], right: readonly Protocol[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ name, metadata }, index) => name === right[index]!.name && metadata.equals(right[index]!.metadata))
  );
}

function renewed(turn: Turn, input: JoinInput, member: Member): Member {
  const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = input;
  return change(turn, member, { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols });
}

/** A static member is back: a new id in the old place. What the old id still asks for is fenced. */
function takePlace(turn: Turn, input: JoinInput, old: Member): void {
  const { group, outputs, nowMs } = turn;
  const formerLeaderId = group.leaderId ?? '';
  const wasLeader = old.id === formerLeaderId;
  removeMember(turn, old, KafkaError.FENCED_INSTANCE_ID);
  const id = input.newMemberId;
  if (wasLeader) group.leaderId = id;
  const member = renewed(turn, input, { ...old, id, joining: undefined, syncing: undefined });
  if (group.phase !== 'Stable' || chooseProtocol(group) !== group.protocol) {
    awaitJoin(turn, member, input.ticket);
    prepareRebalance(turn);
    completeIfAllJoined(turn);
    return;
  }
  change(turn, member, { deadlineMs: nowMs + member.sessionTimeoutMs });
  const answer = { ...currentJoin(group, member), members: [] };
  if (!wasLeader) {
    outputs.push({ kind: 'join', ticket: input.ticket, answer });
  } else if (input.canSkipAssignment) {
    const members = membersFor(group);
    outputs.push({ kind: 'join', ticket: input.ticket, answer: { ...answer, members, skipAssignment: true } });
  } else {
    // An older client would assign anew as the leader: it is told that somebody else is.
    outputs.push({ kind: 'join', ticket: input.ticket, answer: { ...answer, leaderId: formerLeaderId } });
  }
}
