// What one consumer group is: the classic protocol of Kafka's coordinator, as values. group.ts moves it.
//
//   Empty --join--> PreparingRebalance --all joined, or time is up--> CompletingRebalance --leader's sync--> Stable
//                     ^   |                                              |                                    |
//                     |   +--nobody joined--> Empty                      |                                    |
//                     +-----------------a member joins, leaves, is late--+------------------------------------+
//   Empty --deleted--> Dead
//
// Times are milliseconds of the monotonic clock. Metadata and assignments belong to the clients and are never read here.

export type Phase = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

/** Names one request whose answer is owed: it is answered exactly once. */
export type Ticket = number;

export interface Protocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface Member {
  readonly id: string;
  /** A static member keeps its place over a restart by this name (KIP-345). */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** In the order of the member's liking. */
  readonly protocols: readonly Protocol[];
  readonly assignment: Buffer;
  /** Its JoinGroup, or SyncGroup, that is not answered yet. */
  readonly joining: Ticket | undefined;
  readonly syncing: Ticket | undefined;
  /** False from a join's answer until its SyncGroup came. */
  readonly hasSynced: boolean;
  /** It never had an answer to a JoinGroup: it may not know its own id. */
  readonly isNew: boolean;
  /** It is taken for gone then, unless a request of it waits here. */
  readonly deadlineMs: number;
}

export interface Group {
  readonly phase: Phase;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocol: string | null;
  readonly leaderId: string | null;
  /** In the order of their first join. */
  readonly members: ReadonlyMap<string, Member>;
  /** Ids that were given out and not used yet (KIP-394), with the time when they lapse. */
  readonly pending: ReadonlyMap<string, number>;
  /** Of the first rebalance of an empty group: it waits for more members, each time anew, `latestMs` at most. */
  readonly gather: Gather | undefined;
  /** PreparingRebalance: who has not joined by then is out. CompletingRebalance and Stable: who has not synced. */
  readonly deadlineMs: number | undefined;
  /** When the phase was entered. */
  readonly sinceMs: number;
}

export interface Gather {
  readonly untilMs: number;
  readonly latestMs: number;
  readonly hasGrown: boolean;
}

export const EMPTY_GROUP: Group = {
  phase: 'Empty',
  generation: 0,
  protocolType: null,
  protocol: null,
  leaderId: null,
  members: new Map(),
  pending: new Map(),
  gather: undefined,
  deadlineMs: undefined,
  sinceMs: 0,
};

export interface GroupRules {
  /** Members, and ids that were given out, in one group. */
  membersMax: number;
  /** What the clients give for all members of one group: metadata, assignments, names. */
  bytesMax: number;
  sessionTimeoutMsMin: number;
  sessionTimeoutMsMax: number;
  /** An empty group waits so long for more members after the first one. */
  initialDelayMs: number;
}

export interface JoinInput {
  kind: 'join';
  ticket: Ticket;
  nowMs: number;
  /** Empty for a member that has none yet. */
  memberId: string;
  /** What it is to be called then. */
  newMemberId: string;
  instanceId: string | null;
  clientId: string;
  clientHost: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  protocolType: string;
  protocols: readonly Protocol[];
  /** The client takes its id in an answer of its own, and joins again with it. */
  takesIdFirst: boolean;
  /** A leader of this client understands that it must not assign. */
  canSkipAssignment: boolean;
}

/** Who speaks: checked the same way in every request. */
export interface Speaker {
  memberId: string;
  instanceId: string | null;
  generation: number;
}

export interface SyncInput extends Speaker {
  kind: 'sync';
  ticket: Ticket;
  nowMs: number;
  protocolType: string | null;
  protocol: string | null;
  assignments: ReadonlyMap<string, Buffer>;
}

export type Input =
  | JoinInput
  | SyncInput
  | ({ kind: 'heartbeat'; ticket: Ticket; nowMs: number } & Speaker)
  /** Whether an OffsetCommit of this speaker is allowed. */
  | ({ kind: 'commit'; ticket: Ticket; nowMs: number; isTransactional?: boolean } & Speaker)
  | { kind: 'leave'; ticket: Ticket; nowMs: number; memberId: string; instanceId: string | null }
  | { kind: 'delete'; ticket: Ticket; nowMs: number }
  | { kind: 'tick'; nowMs: number }
  /** This process stood still for so long: nobody could be heard, so nobody is late for it. */
  | { kind: 'stood'; byMs: number };

export interface JoinAnswer {
  errorCode: number;
  generation: number;
  protocolType: string | null;
  protocol: string | null;
  leaderId: string;
  memberId: string;
  skipAssignment: boolean;
  /** For the leader only. */
  members: readonly { memberId: string; instanceId: string | null; metadata: Buffer }[];
}

export interface SyncAnswer {
  errorCode: number;
  protocolType: string | null;
  protocol: string | null;
  assignment: Buffer;
}

export type Output =
  | { kind: 'join'; ticket: Ticket; answer: JoinAnswer }
  | { kind: 'sync'; ticket: Ticket; answer: SyncAnswer }
  | { kind: 'code'; ticket: Ticket; errorCode: number };

const NO_BYTES = Buffer.alloc(0);
const PENDING_BYTES = 100;

export function refusedJoin(errorCode: number, memberId: string): JoinAnswer {
  const nothing = { generation: -1, protocolType: null, protocol: null, leaderId: '', skipAssignment: false };
  return { errorCode, memberId, members: [], ...nothing };
}

export function refusedSync(errorCode: number): SyncAnswer {
  return { errorCode, protocolType: null, protocol: null, assignment: NO_BYTES };
}

export function joinOutput(ticket: Ticket, answer: JoinAnswer): Output {
  return { kind: 'join', ticket, answer };
}

export function syncOutput(ticket: Ticket, answer: SyncAnswer): Output {
  return { kind: 'sync', ticket, answer };
}

/** What the clients gave to be kept for a group's members, and what an id that waits costs. */
export function bytesOf(group: Group): number {
  let bytes = group.pending.size * PENDING_BYTES;
  for (const member of group.members.values()) bytes += bytesGiven(member) + member.assignment.length;
  return bytes;
}

/** Texts and metadata of one member. */
export function bytesGiven(of: Pick<Member, 'clientId' | 'clientHost' | 'instanceId' | 'protocols'>): number {
  let bytes = of.clientId.length + of.clientHost.length + (of.instanceId?.length ?? 0);
  for (const { name, metadata } of of.protocols) bytes += name.length + metadata.length;
  return bytes;
}

/** The metadata that a member gave for a protocol. */
export function metadataOf(member: Member, protocol: string | null): Buffer {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? NO_BYTES;
}

/** The member that holds a static name. */
export function holderOf(group: Group, instanceId: string): Member | undefined {
  for (const member of group.members.values()) if (member.instanceId === instanceId) return member;
  return undefined;
}

/** Whether every member supports the protocol. */
export function isCommon(group: Group, protocol: string): boolean {
  return [...group.members.values()].every(({ protocols }) => protocols.some(({ name }) => name === protocol));
}

/** The protocol that most members like best among those that all support; undefined where there is none. */
export function chooseProtocol(group: Group): string | undefined {
  const common = new Map<string, boolean>();
  const votes = new Map<string, number>();
  for (const { protocols } of group.members.values()) {
    const liked = protocols.find(({ name }) => {
      if (!common.has(name)) common.set(name, isCommon(group, name));
      return common.get(name);
    });
    if (liked !== undefined) votes.set(liked.name, (votes.get(liked.name) ?? 0) + 1);
  }
  let best: string | undefined;
  for (const [name, count] of votes) if (best === undefined || count > votes.get(best)!) best = name;
  return best;
}
