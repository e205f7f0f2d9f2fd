// Consumer groups: who is in a group, and how far it has come (offsets.ts). There are two kinds, as in Kafka: the classic
// one, whose members assign (coordinator.ts), and KIP-848's, where the node does (incremental/). A group may change its
// kind while nobody is in it. Members live in memory: after a restart they join again, and what they committed is there.
// Answers are Kafka's error codes, since the rules are Kafka's; the formats of metadata and assignments are the clients'.
//
// Bounds, and what happens at them: groups, members and their bytes -> GROUP_MAX_SIZE_REACHED at the join; bytes of all
// offsets -> INVALID_COMMIT_OFFSET_SIZE at the commit. Both are final for clients, which say so to their people.

import type { Clock } from '../clock.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import type { Log, Topic } from '../log/log.ts';
import type { Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { administer } from './administration.ts';
import { Coordinator, type Asked } from './coordinator.ts';
import { keepExpiring } from './expiry.ts';
import { openIncremental, type Beat, type Incremental } from './incremental/incremental.ts';
import { refusal, type BeatAnswer, type Group as IncrementalGroup, type GroupState } from './incremental/state.ts';
import { metricsOf, statusOf, type GroupsStatus, type Told } from './groups-status.ts';
import type { Committed, GroupKind } from './offset-marks.ts';
import { openOffsets, type CommittedPartition, type Entry, type Offsets } from './offsets.ts';
import { openStaged } from './staged.ts';
import { refusedJoin, refusedSync, type Group, type Speaker } from './state.ts';
import type { JoinAnswer, JoinInput, Phase, SyncAnswer, SyncInput } from './state.ts';

export type { GroupsStatus } from './groups-status.ts';
export { byTopic, placeOf, together, type Share } from './incremental/share.ts';
export { stateOf as incrementalStateOf } from './incremental/state.ts';
export type { Group as IncrementalGroup, Member as IncrementalMember } from './incremental/state.ts';

/** By the names that Kafka gives them. */
export interface GroupSettings {
  /** group.initial.rebalance.delay.ms */
  initialRebalanceDelayMs: number;
  /** group.min.session.timeout.ms */
  sessionTimeoutMsMin: number;
  /** group.max.session.timeout.ms */
  sessionTimeoutMsMax: number;
  /** group.max.size: members of one group. */
  sizeMax: number;
  /** group.consumer.session.timeout.ms, of members of KIP-848's protocol. */
  consumerSessionTimeoutMs: number;
  /** group.consumer.heartbeat.interval.ms */
  consumerHeartbeatIntervalMs: number;
  /** offsets.retention.minutes: how long the offsets of a group without members are kept. */
  offsetsRetentionMs: number;
}

export const DEFAULT_GROUP_SETTINGS: Readonly<GroupSettings> = {
  initialRebalanceDelayMs: 3000,
  sessionTimeoutMsMin: 6000,
  sessionTimeoutMsMax: 30 * 60_000,
  sizeMax: 1000,
  consumerSessionTimeoutMs: 45_000,
  consumerHeartbeatIntervalMs: 5000,
  offsetsRetentionMs: 7 * 24 * 3600 * 1000,
};

export interface GroupsLimits {
  groupsMax: number;
  /** Of all groups. */
  membersMax: number;
  /** What clients gave to be kept for all members. */
  memberBytesMax: number;
  /** Offsets of all groups, as they lie on the card. */
  offsetBytesMax: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_GROUPS_LIMITS: Readonly<GroupsLimits> = {
  groupsMax: 2000,
  membersMax: 10_000,
  memberBytesMax: 32 * MIB,
  offsetBytesMax: 4 * MIB,
};

export interface GroupsNeeds {
  log: Log;
  clock: Clock;
  trace: Trace;
  settings?: Partial<GroupSettings>;
  limits?: Partial<GroupsLimits>;
}

export type JoinRequest = Omit<Asked<JoinInput>, 'kind'>;
export type SyncRequest = Omit<Asked<SyncInput>, 'kind'>;

export interface OffsetToCommit extends Committed {
  topic: string;
  partition: number;
}

export interface GroupSummary {
  id: string;
  /** `consumer`, `connect`, `stream`, ...; empty for one that only commits offsets. */
  protocolType: string;
  kind: GroupKind;
  state: Phase | GroupState;
}

export interface GroupDescription extends GroupSummary {
  /** How partitions are assigned; empty while that is not agreed. */
  protocol: string;
  members: readonly {
    memberId: string;
    instanceId: string | null;
    clientId: string;
    clientHost: string;
    metadata: Buffer;
    assignment: Buffer;
  }[];
}

export interface Groups {
  /** Resolves when all members have joined, or their time is up. Never rejects. Copies what it keeps. */
  join(groupId: string, request: JoinRequest): Promise<JoinAnswer>;
  /** Resolves when the leader has assigned, or another rebalance has begun. Never rejects. Copies what it keeps. */
  sync(groupId: string, request: SyncRequest): Promise<SyncAnswer>;
  heartbeat(groupId: string, speaker: Speaker): number;
  leave(groupId: string, member: { memberId: string; instanceId: string | null }): number;
  /** A heartbeat of KIP-848's protocol, with all that it says and asks. */
  beat(groupId: string, beat: Beat): BeatAnswer;
  /** How often its members are to send one, ms. */
  readonly heartbeatIntervalMs: number;
  /** What is known of a group of that protocol, by its members' own words; undefined for one of the other kind. */
  incremental(groupId: string): IncrementalGroup | undefined;
  /** Whether that member may fetch what its group has committed. Without a member anybody may. */
  fetchCode(groupId: string, memberId: string | null, epoch: number): number;
  /** A code for each offset. Those that are accepted are on the card, together, when it resolves. Throws LOG_CLOSED. */
  commit(groupId: string, speaker: Speaker, offsets: readonly OffsetToCommit[]): Promise<number[]>;
  /**
   * The same for the transaction that the producer has open: on the card when it resolves, and committed when `settle`
   * says that the transaction is. Throws LOG_CLOSED.
   */
  stage(producerId: number, groupId: string, speaker: Speaker, offsets: readonly OffsetToCommit[]): Promise<number[]>;
  /** What the producer's transaction has staged is committed, or gone, in the commit that is being gathered. Throws LOG_CLOSED. */
  settle(producerId: number, isCommit: boolean): void;
  /** Producers that have something staged. */
  stagedBy(): number[];
  /** Whether a transaction that is open may still move this offset. */
  isUnstable(groupId: string, topic: string, partition: number): boolean;
  /** What is on the card. */
  committed(groupId: string, topic: string, partition: number): Committed | undefined;
  committedBy(groupId: string): CommittedPartition[];
  list(): GroupSummary[];
  describe(groupId: string): GroupDescription | undefined;
  /** Removes a group without members. On return its offsets are gone from the card. Throws LOG_CLOSED. */
  remove(groupId: string): Promise<number>;
  /** Removes offsets that no member subscribes to: a code for the group, and one for each offset. Throws LOG_CLOSED. */
  removeOffsets(
    groupId: string,
    partitions: readonly { topic: string; partition: number }[],
  ): Promise<{ errorCode: number; codes: number[] }>;
  status(): GroupsStatus;
  metrics(): Metric[];
  /** Answers all that waits. */
  close(): void;
}

/** Longest name of a group, in characters. */
const ID_LENGTH_MAX = 1024;
/** offset.metadata.max.bytes */
const OFFSET_METADATA_BYTES_MAX = 4096;

/** Reads back what groups have committed. */
export function openGroups(needs: GroupsNeeds): Groups {
  const { log, clock } = needs;
  const trace = needs.trace.room('groups');
  const settings = { ...DEFAULT_GROUP_SETTINGS, ...needs.settings };
  const limits = { ...DEFAULT_GROUPS_LIMITS, ...needs.limits };
  let rebalances = 0;

  const offsets: Offsets = openOffsets({
    log,
    monotonicMs: clock.monotonicMs,
    bytesMax: limits.offsetBytesMax,
    onGone: (groupId) => coordinator.forget(groupId),
  });
  const staged = openStaged(log);
  const coordinator: Coordinator = new Coordinator({
    clock,
    rules: {
      membersMax: settings.sizeMax,
      bytesMax: limits.memberBytesMax,
      sessionTimeoutMsMin: settings.sessionTimeoutMsMin,
      sessionTimeoutMsMax: settings.sessionTimeoutMsMax,
      initialDelayMs: settings.initialRebalanceDelayMs,
    },
    limits: { groupsMax: limits.groupsMax, membersMax: limits.membersMax, bytesMax: limits.memberBytesMax },
    others: () => ({
      groups: incremental.size + countKept(),
      members: incremental.members,
      bytes: incremental.bytes,
    }),
    isKept: (groupId) => offsets.get(groupId) !== undefined,
    onChange: changed,
  });
  const incremental: Incremental = openIncremental({
    log,
    clock,
    rules: {
      membersMax: settings.sizeMax,
      bytesMax: limits.memberBytesMax,
      sessionTimeoutMs: settings.consumerSessionTimeoutMs,
    },
    limits: { groupsMax: limits.groupsMax, membersMax: limits.membersMax, bytesMax: limits.memberBytesMax },
    others: () => ({
      groups: coordinator.size + countKept(),
      members: coordinator.members,
      bytes: coordinator.bytes,
    }),
    isKept: (groupId) => offsets.get(groupId) !== undefined,
    onChange(groupId, before, after) {
      if (before === 0) expiry.used(groupId, 'consumer', 'Consumer');
      if (after === 0) expiry.left(groupId);
    },
  });
  const administration = administer({ log, coordinator, incremental, offsets });
  const expiry = keepExpiring({ offsets, clock, trace, retentionMs: settings.offsetsRetentionMs });

  /** Groups of which only offsets are here. */
  function countKept(): number {
    let count = 0;
    for (const { id } of offsets.all()) {
      if (coordinator.group(id) === undefined && incremental.group(id) === undefined) count += 1;
    }
    return count;
  }

  function isInUse(groupId: string): boolean {
    return (coordinator.group(groupId)?.members.size ?? 0) > 0 || incremental.group(groupId) !== undefined;
  }

  function changed(groupId: string, before: Group, after: Group): void {
    if (after.generation !== before.generation) rebalances += 1;
    const isUsed = after.phase !== 'Empty' && after.phase !== 'Dead';
    if (before.phase === 'Empty' && isUsed) expiry.used(groupId, after.protocolType ?? '', 'Classic');
    if (before.phase !== 'Empty' && after.phase === 'Empty') expiry.left(groupId);
  }

  function isName(groupId: string): boolean {
    return groupId !== '' && groupId.length <= ID_LENGTH_MAX;
  }

  function ask(groupId: string, input: Parameters<Coordinator['ask']>[1]): number {
    return isName(groupId) ? coordinator.ask(groupId, input) : KafkaError.INVALID_GROUP_ID;
  }

  async function commit(
    groupId: string,
    speaker: Speaker,
    wanted: readonly OffsetToCommit[],
    transaction?: number,
  ): Promise<number[]> {
    // Kafka takes an empty name here, for clients that only keep offsets.
    if (groupId.length > ID_LENGTH_MAX) return wanted.map(() => KafkaError.INVALID_GROUP_ID);
    const isTransactional = transaction !== undefined;
    const code = commitCode(groupId, speaker, isTransactional);
    if (code !== KafkaError.NONE) return wanted.map(() => code);
    const codes = wanted.map((each) => codeOf(log, each));
    const entries: Entry[] = [];
    for (const [index, { topic, ...rest }] of wanted.entries()) {
      if (codes[index] === KafkaError.NONE) entries.push({ topic: log.topic(topic)!, ...rest });
    }
    const hasRoom = offsets.get(groupId) !== undefined || hasRoomForGroup(groupId);
    if (hasRoom && (await keep(groupId, entries, transaction))) return codes;
    trace.limited('offsets are refused, there are too many', { group: groupId, bytes: offsets.bytes() });
    return codes.map((code) => (code === KafkaError.NONE ? KafkaError.INVALID_COMMIT_OFFSET_SIZE : code));
  }

  /** Where a group of the newer protocol has members, they alone commit; a transaction need not say whose it is. */
  function commitCode(groupId: string, speaker: Speaker, isTransactional: boolean): number {
    if (incremental.group(groupId) === undefined) {
      return coordinator.ask(groupId, { kind: 'commit', ...speaker, isTransactional });
    }
    if (isTransactional && speaker.memberId === '' && speaker.generation < 0) return KafkaError.NONE;
    const code = incremental.speakerCode(groupId, speaker.memberId, speaker.generation);
    // The word for it that producers know.
    return isTransactional && code === KafkaError.STALE_MEMBER_EPOCH ? KafkaError.ILLEGAL_GENERATION : code;
  }

  function hasRoomForGroup(groupId: string): boolean {
    return isInUse(groupId) || coordinator.size + incremental.size + countKept() < limits.groupsMax;
  }

  async function keep(groupId: string, entries: readonly Entry[], transaction: number | undefined): Promise<boolean> {
    if (transaction === undefined) return keepCommitted(groupId, entries, false);
    if (entries.length === 0) return true;
    const commit = staged.add(transaction, groupId, entries, limits.offsetBytesMax - offsets.bytes() - staged.bytes());
    await commit?.done();
    return commit !== undefined;
  }

  function keepCommitted(groupId: string, entries: readonly Entry[], mustKeep: boolean): Promise<boolean> {
    const isIncremental = incremental.group(groupId) !== undefined;
    const type = isIncremental ? 'consumer' : (coordinator.group(groupId)?.protocolType ?? '');
    const kept = offsets.commit(groupId, { type, kind: isIncremental ? 'Consumer' : 'Classic' }, entries, mustKeep);
    // In the same turn, so that the group's own row goes to the card together with its offsets.
    if (!isInUse(groupId)) expiry.touched(groupId);
    return kept;
  }

  function settle(producerId: number, isCommit: boolean): void {
    for (const { groupId, entries } of staged.take(producerId)) {
      if (!isCommit) continue;
      const there = entries.filter(({ topic }) => log.topic(topic.name)?.id.equals(topic.id) === true);
      // Whoever ends the transaction waits for the commit that this is in, and hears of an error.
      keepCommitted(groupId, there, true).catch(() => undefined);
    }
  }

  function beat(groupId: string, asked: Beat): BeatAnswer {
    const { memberId, epoch } = asked;
    if (!isName(groupId))
      return refusal(KafkaError.INVALID_REQUEST, 'GroupId can not be empty, or so long', memberId, epoch);
    const classic = coordinator.group(groupId);
    if (classic !== undefined && classic.phase !== 'Empty') {
      const words = `group ${groupId} has members of the classic protocol: stop all of them before it can change`;
      return refusal(KafkaError.GROUP_ID_NOT_FOUND, words, memberId, epoch);
    }
    const answer = incremental.beat(groupId, asked);
    // An empty group of the other kind is done with, ids that it has given out and all.
    if (classic !== undefined && answer.errorCode === KafkaError.NONE) coordinator.ask(groupId, { kind: 'delete' });
    if (answer.errorCode === KafkaError.GROUP_MAX_SIZE_REACHED) tellFull(groupId);
    return answer;
  }

  function tellFull(groupId: string): void {
    const members = coordinator.members + incremental.members;
    const bytes = coordinator.bytes + incremental.bytes;
    const groups = coordinator.size + incremental.size;
    trace.limited('a member is refused, there are too many', { group: groupId, groups, members, bytes });
  }

  function told(): Told {
    return {
      list: administration.list,
      members: coordinator.members + incremental.members,
      memberBytes: coordinator.bytes + incremental.bytes,
      offsets,
      rebalances: rebalances + incremental.rebalances,
      log,
    };
  }

  return {
    async join(groupId, request) {
      const copied = request.protocols.map(({ name, metadata }) => ({ name, metadata: ownBytes(metadata) }));
      if (!isName(groupId)) return refusedJoin(KafkaError.INVALID_GROUP_ID, request.memberId);
      if (incremental.group(groupId) !== undefined) {
        trace.limited('a member of the classic protocol is refused: the group is of the newer one', { group: groupId });
        return refusedJoin(KafkaError.INCONSISTENT_GROUP_PROTOCOL, request.memberId);
      }
      const answer = await coordinator.join(groupId, { kind: 'join', ...request, protocols: copied });
      if (answer.errorCode === KafkaError.GROUP_MAX_SIZE_REACHED) tellFull(groupId);
      return answer;
    },
    async sync(groupId, request) {
      if (!isName(groupId)) return refusedSync(KafkaError.INVALID_GROUP_ID);
      const copied = new Map([...request.assignments].map(([id, assignment]) => [id, ownBytes(assignment)]));
      return coordinator.sync(groupId, { kind: 'sync', ...request, assignments: copied });
    },
    heartbeat: (groupId, speaker) => ask(groupId, { kind: 'heartbeat', ...speaker }),
    leave(groupId, member) {
      if (incremental.group(groupId) !== undefined) return incremental.expel(groupId, member);
      return ask(groupId, { kind: 'leave', ...member });
    },
    beat,
    heartbeatIntervalMs: settings.consumerHeartbeatIntervalMs,
    fetchCode(groupId, memberId, epoch) {
      // Of classic groups nobody asks it, as in Kafka, though members of those say who they are, too.
      const isAnybody = (memberId === null || memberId === '') && epoch < 0;
      if (isAnybody || incremental.group(groupId) === undefined) return KafkaError.NONE;
      return incremental.speakerCode(groupId, memberId ?? '', epoch);
    },
    commit: (groupId, speaker, wanted) => commit(groupId, speaker, wanted),
    stage: (producerId, groupId, speaker, wanted) => commit(groupId, speaker, wanted, producerId),
    settle,
    stagedBy: staged.producers,
    isUnstable: (groupId, topic, partition) =>
      staged.has(groupId, topic, partition) || offsets.isComing(groupId, topic, partition),
    committed: offsets.committed,
    committedBy: offsets.committedBy,
    ...administration,
    status: () => statusOf(told()),
    metrics: () => metricsOf(told()),
    close() {
      expiry.close();
      coordinator.close();
      incremental.close();
      offsets.close();
    },
  };
}

function codeOf(log: Log, { topic, partition, metadata }: OffsetToCommit): number {
  const found: Topic | undefined = log.topic(topic);
  if (found?.partitions[partition] === undefined) return KafkaError.UNKNOWN_TOPIC_OR_PARTITION;
  const isTooLong = Buffer.byteLength(metadata) > OFFSET_METADATA_BYTES_MAX;
  return isTooLong ? KafkaError.OFFSET_METADATA_TOO_LARGE : KafkaError.NONE;
}

/** What a request holds is a view of it: what is kept must not keep the whole of it. */
function ownBytes(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
