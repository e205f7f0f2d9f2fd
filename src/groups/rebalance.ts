// The moves of a group that its inputs share: a rebalance begins, all have joined or are out, a member goes. Each works
// on the copy that step() has made of the state, and adds what it owes to the outputs.

import { KafkaError } from '../formats/kafka/codes.ts';
import {
  chooseProtocol,
  metadataOf,
  refusedJoin,
  refusedSync,
  joinOutput,
  syncOutput,
  type Group,
  type GroupRules,
  type JoinAnswer,
  type Member,
  type Output,
  type Phase,
  type SyncAnswer,
} from './state.ts';

/** One step's copy of the state, which may be changed; the members in it may only be replaced. */
export interface Turn {
  group: { -readonly [K in keyof Group]: Group[K] } & { members: Map<string, Member>; pending: Map<string, number> };
  readonly outputs: Output[];
  readonly nowMs: number;
  readonly rules: GroupRules;
}

/** A client that joins for the first time and goes away has no id by which it could be told of it. */
const NEW_MEMBER_MS = 5 * 60_000;

export function enter({ group, nowMs }: Turn, phase: Phase): void {
  group.phase = phase;
  group.sinceMs = nowMs;
  group.gather = undefined;
  group.deadlineMs = undefined;
}

export function change({ group }: Turn, member: Member, fields: Partial<Member>): Member {
  const changed = { ...member, ...fields };
  group.members.set(member.id, changed);
  return changed;
}

/** The member was heard. */
export function heard(turn: Turn, member: Member): void {
  change(turn, member, { deadlineMs: turn.nowMs + member.sessionTimeoutMs });
}

/** Its JoinGroup waits for the others. One that waited before is overtaken: its connection is most likely gone. */
export function awaitJoin(turn: Turn, member: Member, ticket: number): void {
  if (member.joining !== undefined) {
    turn.outputs.push(joinOutput(member.joining, refusedJoin(KafkaError.REBALANCE_IN_PROGRESS, member.id)));
  }
  const patience = member.isNew ? NEW_MEMBER_MS : member.sessionTimeoutMs;
  change(turn, member, { joining: ticket, deadlineMs: turn.nowMs + patience });
}

/** Everybody must join again. In a rebalance that has only begun nothing changes. */
export function prepareRebalance(turn: Turn): void {
  const { group, nowMs, rules } = turn;
  if (group.phase === 'PreparingRebalance') return;
  if (group.phase === 'CompletingRebalance') dropSyncs(turn);
  const isFirst = group.phase === 'Empty';
  enter(turn, 'PreparingRebalance');
  const patienceMs = rebalanceTimeoutMs(group);
  if (isFirst && rules.initialDelayMs > 0) {
    const untilMs = nowMs + Math.min(rules.initialDelayMs, patienceMs);
    group.gather = { untilMs, latestMs: nowMs + patienceMs, hasGrown: false };
  } else {
    group.deadlineMs = nowMs + patienceMs;
  }
}

function dropSyncs(turn: Turn): void {
  for (const member of turn.group.members.values()) {
    if (member.syncing !== undefined) {
      turn.outputs.push(syncOutput(member.syncing, refusedSync(KafkaError.REBALANCE_IN_PROGRESS)));
    }
    const deadlineMs = member.syncing === undefined ? member.deadlineMs : turn.nowMs + member.sessionTimeoutMs;
    change(turn, member, { syncing: undefined, assignment: Buffer.alloc(0), deadlineMs });
  }
}

export function rebalanceTimeoutMs(group: Group): number {
  let longest = 0;
  for (const member of group.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
  return longest;
}

/** Completes a rebalance for which nobody is missing. */
export function completeIfAllJoined(turn: Turn): void {
  const { group } = turn;
  if (group.phase !== 'PreparingRebalance' || group.gather !== undefined || group.pending.size > 0) return;
  for (const { joining } of group.members.values()) if (joining === undefined) return;
  completeJoin(turn);
}

/** Ends PreparingRebalance. Who has not joined is out, but for static members: these may be restarting. */
export function completeJoin(turn: Turn): void {
  const { group, nowMs } = turn;
  for (const { id, joining, instanceId } of group.members.values()) {
    if (joining === undefined && instanceId === null) group.members.delete(id);
  }
  const joined = [...group.members.values()].filter(({ joining }) => joining !== undefined);
  if (group.members.size > 0 && joined.length === 0) {
    group.gather = undefined;
    group.deadlineMs = nowMs + rebalanceTimeoutMs(group);
    return;
  }
  group.generation += 1;
  if (joined.length === 0) {
    enter(turn, 'Empty');
    group.protocol = null;
    group.leaderId = null;
    return;
  }
  if (!joined.some(({ id }) => id === group.leaderId)) group.leaderId = joined[0]!.id;
  group.protocol = chooseProtocol(group) ?? null;
  enter(turn, 'CompletingRebalance');
  group.deadlineMs = nowMs + rebalanceTimeoutMs(group);
  for (const member of joined) answerJoin(turn, member);
  for (const member of group.members.values()) {
    const deadlineMs = nowMs + member.sessionTimeoutMs;
    change(turn, member, { joining: undefined, isNew: false, hasSynced: false, deadlineMs });
  }
}

function answerJoin({ group, outputs }: Turn, member: Member): void {
  outputs.push({ kind: 'join', ticket: member.joining!, answer: currentJoin(group, member) });
}

/** What a member learns of the present generation. */
export function currentJoin(group: Group, member: Member): JoinAnswer {
  return {
    errorCode: KafkaError.NONE,
    generation: group.generation,
    protocolType: group.protocolType,
    protocol: group.protocol,
    leaderId: group.leaderId ?? '',
    memberId: member.id,
    skipAssignment: false,
    members: member.id === group.leaderId ? membersFor(group) : [],
  };
}

export function membersFor(group: Group): JoinAnswer['members'] {
  return [...group.members.values()].map((member) => ({
    memberId: member.id,
    instanceId: member.instanceId,
    metadata: metadataOf(member, group.protocol),
  }));
}

export function currentSync(group: Group, { assignment }: Member): SyncAnswer {
  const { protocolType, protocol } = group;
  return { errorCode: KafkaError.NONE, protocolType, protocol, assignment };
}

/** Takes a member out; what waits of it is answered with `errorCode`. Who leads then is seen when the others have joined. */
export function removeMember({ group, outputs }: Turn, member: Member, errorCode: number): void {
  group.members.delete(member.id);
  if (member.joining !== undefined) outputs.push(joinOutput(member.joining, refusedJoin(errorCode, member.id)));
  if (member.syncing !== undefined) outputs.push(syncOutput(member.syncing, refusedSync(errorCode)));
}

/** After members went. */
export function goOn(turn: Turn): void {
  const { phase } = turn.group;
  if (phase === 'Stable' || phase === 'CompletingRebalance') prepareRebalance(turn);
  completeIfAllJoined(turn);
}
