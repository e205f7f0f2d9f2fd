// One group of KIP-848's protocol as a pure state machine: (state, input) -> state, and the answer to a heartbeat. It has
// no timers and no sockets: time and topics come in with the inputs, and wakeMs() says when it wants to be ticked.
//
// Unlike Kafka's, a node that was restarted knows no members: they are told that they are unknown, give up what they
// have, and join again.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { AWAY_EPOCH, JOINING_EPOCH } from '../../formats/kafka/68-consumer-group-heartbeat.ts';
import { reconciled } from './reconcile.ts';
import { isSame, isWithin, NOTHING } from './share.ts';
import {
  accepted,
  holderOf,
  refusal,
  type BeatAnswer,
  type BeatInput,
  type Group,
  type Input,
  type Member,
  type Rules,
  type World,
} from './state.ts';
import { hasRoomFor, isOutdated, retarget, type Turn } from './target.ts';

export interface Step {
  group: Group;
  /** To a heartbeat; of an expulsion the code alone counts. */
  answer: BeatAnswer | undefined;
}

/** The state after `input`. The state before is untouched. A heartbeat is sound: see request.ts. */
export function step(group: Group, input: Input, world: World, rules: Rules): Step {
  if (input.kind === 'stood') return { group: shifted(group, input.byMs), answer: undefined };
  const turn: Turn = { group: { ...group, members: new Map(group.members) }, world, rules };
  let answer: BeatAnswer | undefined;
  switch (input.kind) {
    case 'beat':
      answer = input.epoch < JOINING_EPOCH ? leave(turn, input) : beat(turn, input);
      break;
    case 'expel':
      answer = expel(turn, input.memberId, input.instanceId);
      break;
    case 'topics':
      if (turn.group.members.size > 0 && isOutdated(turn)) retarget(turn);
      break;
    case 'tick':
      tick(turn, input.nowMs);
  }
  return { group: turn.group, answer };
}

/** When the group must be ticked; Infinity when it waits for nothing. */
export function wakeMs({ members }: Group): number {
  let wake = Infinity;
  for (const { deadlineMs, revokeByMs } of members.values()) wake = Math.min(wake, deadlineMs, revokeByMs ?? Infinity);
  return wake;
}

/** Whether a member may commit, or fetch, what the group has read. */
export function speakerCode({ members }: Group, memberId: string, epoch: number): number {
  const member = members.get(memberId);
  if (member === undefined) return KafkaError.UNKNOWN_MEMBER_ID;
  return member.epoch === epoch && !member.isAway ? KafkaError.NONE : KafkaError.STALE_MEMBER_EPOCH;
}

function beat(turn: Turn, input: BeatInput): BeatAnswer {
  const before = input.epoch === JOINING_EPOCH ? joining(turn, input) : known(turn, input);
  if ('errorCode' in before) return before;
  const { group } = turn;
  const said = renewed(before, input, turn.rules);
  const isOther = isNew(before) || wantsOther(before, said);
  if (isNew(before) && group.members.size >= turn.rules.membersMax) return tooMuch(input);
  if (isOther && !hasRoomFor(turn, said)) return tooMuch(input);
  // A static name that passes to a member that was here without it leaves one member less.
  const isMerged = before.id !== said.id && group.members.has(said.id);
  group.members.delete(before.id);
  group.members.set(said.id, said);
  if (isOther || isMerged || isOutdated(turn)) retarget(turn);
  const member = settled(reconciled(group, group.members.get(said.id)!, input.owned), said, input.nowMs);
  group.members.set(member.id, member);
  const isWhole = input.rebalanceTimeoutMs !== -1 && input.owned !== null && (input.names ?? input.pattern) !== null;
  const isTold = input.epoch === JOINING_EPOCH || isWhole || !isSame(member.assigned, before.assigned);
  return accepted(member.id, member.epoch, isTold ? member.assigned : null);
}

function tooMuch({ memberId, epoch }: BeatInput): BeatAnswer {
  const words = 'the group, or all groups together, can have no more members: see group.max.size';
  return refusal(KafkaError.GROUP_MAX_SIZE_REACHED, words, memberId, epoch);
}

/** Who joins again, as after it was fenced, has nothing. A static member that is away has left its place to the next. */
function joining({ group }: Turn, input: BeatInput): Member | BeatAnswer {
  const { memberId, instanceId } = input;
  const holder = instanceId === null ? undefined : holderOf(group, instanceId);
  if (holder !== undefined && holder.id !== memberId && !holder.isAway) {
    const words = `${instanceId} is in use by member ${holder.id}, for the time of its session`;
    return refusal(KafkaError.UNRELEASED_INSTANCE_ID, words, memberId, input.epoch);
  }
  const own = holder ?? group.members.get(memberId);
  const fresh = { epoch: 0, previousEpoch: 0, phase: 'stable', assigned: NOTHING, revoking: NOTHING } as const;
  if (own !== undefined) return { ...own, ...fresh, isAway: false };
  return {
    id: memberId,
    instanceId,
    rackId: null,
    clientId: '',
    clientHost: '',
    rebalanceTimeoutMs: 0,
    names: [],
    pattern: null,
    assignor: null,
    ...fresh,
    target: NOTHING,
    isAway: false,
    deadlineMs: NEVER,
    revokeByMs: undefined,
  };
}

const NEVER = -Infinity;

function isNew({ deadlineMs }: Member): boolean {
  return deadlineMs === NEVER;
}

function known({ group }: Turn, input: BeatInput): Member | BeatAnswer {
  const { memberId, instanceId, epoch, owned } = input;
  const holder = instanceId === null ? group.members.get(memberId) : holderOf(group, instanceId);
  if (holder === undefined) {
    const words = 'the member is not known: it was silent for too long, or the node was restarted; it joins again';
    return refusal(KafkaError.UNKNOWN_MEMBER_ID, words, memberId, epoch);
  }
  if (holder.id !== memberId) {
    const words = `another member has come as ${instanceId}`;
    return refusal(KafkaError.FENCED_INSTANCE_ID, words, memberId, epoch);
  }
  // The answer with the newer epoch may be lost: then it has no more than it was given with that.
  const isBehind = epoch === holder.previousEpoch && owned !== null && isWithin(owned, holder.assigned);
  if (!holder.isAway && (epoch === holder.epoch || isBehind)) return holder;
  const words = `member epoch ${epoch} is not ${holder.epoch}: the member gives up all partitions and joins again`;
  return refusal(KafkaError.FENCED_MEMBER_EPOCH, words, memberId, epoch);
}

function renewed(member: Member, input: BeatInput, rules: Rules): Member {
  return {
    ...member,
    id: input.memberId,
    instanceId: input.instanceId ?? member.instanceId,
    rackId: input.rackId ?? member.rackId,
    clientId: input.clientId,
    clientHost: input.clientHost,
    rebalanceTimeoutMs: input.rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : input.rebalanceTimeoutMs,
    names: input.names ?? member.names,
    pattern: (input.pattern ?? member.pattern) || null,
    assignor: input.assignor ?? member.assignor,
    deadlineMs: input.nowMs + rules.sessionTimeoutMs,
  };
}

function wantsOther(before: Member, said: Member): boolean {
  const isOther = before.pattern !== said.pattern || before.assignor !== said.assignor;
  return isOther || (before.names !== said.names && before.names.join(' ') !== said.names.join(' '));
}

/** Who begins to give up partitions must be done in its time. */
function settled(after: Member, before: Member, nowMs: number): Member {
  const previousEpoch = after.epoch === before.epoch ? after.previousEpoch : before.epoch;
  if (after.phase !== 'unrevoked') return { ...after, previousEpoch, revokeByMs: undefined };
  const isSameAsBefore = before.phase === 'unrevoked' && before.epoch === after.epoch;
  const revokeByMs = isSameAsBefore ? before.revokeByMs : nowMs + before.rebalanceTimeoutMs;
  return { ...after, previousEpoch, revokeByMs };
}

function leave(turn: Turn, { memberId, instanceId, epoch }: BeatInput): BeatAnswer {
  const { group } = turn;
  const member = instanceId === null ? group.members.get(memberId) : holderOf(group, instanceId);
  if (member === undefined) {
    return refusal(KafkaError.UNKNOWN_MEMBER_ID, 'the member is not known', memberId, epoch);
  }
  if (member.id !== memberId) {
    return refusal(KafkaError.FENCED_INSTANCE_ID, `another member has come as ${instanceId}`, memberId, epoch);
  }
  if (epoch === AWAY_EPOCH) {
    // It has closed its consumer: nothing is left to be given up.
    group.members.set(memberId, { ...member, isAway: true, revoking: NOTHING, revokeByMs: undefined });
  } else {
    remove(turn, [member]);
  }
  return accepted(memberId, epoch, null);
}

function expel(turn: Turn, memberId: string, instanceId: string | null): BeatAnswer {
  const { group } = turn;
  const member = instanceId === null ? group.members.get(memberId) : holderOf(group, instanceId);
  if (member === undefined) return refusal(KafkaError.UNKNOWN_MEMBER_ID, 'the member is not known');
  if (memberId !== '' && member.id !== memberId) return refusal(KafkaError.FENCED_INSTANCE_ID, 'it is another member');
  remove(turn, [member]);
  return accepted(member.id, member.epoch, null);
}

function tick(turn: Turn, nowMs: number): void {
  const late = ({ deadlineMs, revokeByMs = Infinity }: Member): boolean => Math.min(deadlineMs, revokeByMs) <= nowMs;
  remove(turn, [...turn.group.members.values()].filter(late));
}

function remove(turn: Turn, gone: readonly Member[]): void {
  if (gone.length === 0) return;
  for (const { id } of gone) turn.group.members.delete(id);
  retarget(turn);
}

function shifted(group: Group, byMs: number): Group {
  const later = (member: Member): Member => {
    const { deadlineMs, revokeByMs } = member;
    return { ...member, deadlineMs: deadlineMs + byMs, revokeByMs: revokeByMs && revokeByMs + byMs };
  };
  return { ...group, members: new Map([...group.members].map(([id, member]) => [id, later(member)])) };
}
