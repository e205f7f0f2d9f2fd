// What a group of KIP-848's protocol is, as values. The node assigns; members only say what they want and what they have:
// a partition that one shall give up goes to the next one when the first says that it has it no longer, and nobody else
// stops for that. step.ts moves it.
//
//   group epoch   + 1 with whatever changes the target: members, subscriptions, topics
//   member epoch  the group epoch whose target the member has, as far as others have let go of it
//
//   member:  stable --its target loses a partition--> unrevoked --it says that it is given up--+
//              ^  \--its target has one that another still has--> unreleased --that is free--+ |
//              +------------------------------------------------------------------------------+-+
//
// Times are milliseconds of the monotonic clock.

import { KafkaError } from '../../formats/kafka/codes.ts';
import type { Share } from './share.ts';

export interface TopicSeen {
  /** base64url: a topic that is made anew has another. */
  readonly id: string;
  readonly partitions: number;
}

/** All topics of a moment, by name. Another moment's is another object, even where nothing differs. */
export type World = ReadonlyMap<string, TopicSeen>;

export type MemberPhase = 'stable' | 'unrevoked' | 'unreleased';

export interface Member {
  readonly id: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly names: readonly string[];
  /** In RE2's words; see topic-pattern.ts. */
  readonly pattern: string | null;
  /** The assignor that it asks for. */
  readonly assignor: string | null;
  readonly epoch: number;
  /** Of the answer before: that one may have been lost. */
  readonly previousEpoch: number;
  readonly phase: MemberPhase;
  /** What it may read. Nobody else has any of it, nor of what it still has to give up. */
  readonly assigned: Share;
  readonly revoking: Share;
  /** What it shall have when all others have let go. */
  readonly target: Share;
  /** A static member that said that it would be back: its place is kept for its session. */
  readonly isAway: boolean;
  /** The end of its session. */
  readonly deadlineMs: number;
  /** So long it may take to give up what it has to. */
  readonly revokeByMs: number | undefined;
}

export interface Group {
  readonly epoch: number;
  readonly members: ReadonlyMap<string, Member>;
  /** The topics that the target was made for. */
  readonly subscribed: World;
  /** By what it was made. */
  readonly assignor: string;
  /** What patterns match in `world`. */
  readonly world: World;
  readonly matches: ReadonlyMap<string, readonly string[]>;
}

export const NO_WORLD: World = new Map();

export const NO_GROUP: Group = {
  epoch: 0,
  members: new Map(),
  subscribed: NO_WORLD,
  assignor: 'uniform',
  world: NO_WORLD,
  matches: new Map(),
};

export interface Rules {
  membersMax: number;
  /** Texts that clients give for all members of one group. */
  bytesMax: number;
  sessionTimeoutMs: number;
}

export interface BeatInput {
  kind: 'beat';
  nowMs: number;
  memberId: string;
  /** 0 to join; below 0 to leave, see 68-consumer-group-heartbeat.ts. */
  epoch: number;
  instanceId: string | null;
  rackId: string | null;
  clientId: string;
  clientHost: string;
  /** -1: as before. */
  rebalanceTimeoutMs: number;
  /** Null, here and below: as before. */
  names: readonly string[] | null;
  pattern: string | null;
  assignor: string | null;
  /** What it has. */
  owned: Share | null;
}

export type Input =
  | BeatInput
  /** A tool takes a member out, a static one perhaps by its name alone. */
  | { kind: 'expel'; nowMs: number; memberId: string; instanceId: string | null }
  /** Topics have come, gone or grown. */
  | { kind: 'topics'; nowMs: number }
  | { kind: 'tick'; nowMs: number }
  /** This process stood still for so long: nobody could be heard, so nobody is late for it. */
  | { kind: 'stood'; byMs: number };

export interface BeatAnswer {
  errorCode: number;
  errorMessage: string | null;
  memberId: string;
  epoch: number;
  /** What the member may read from now on; null where it knows. */
  assigned: Share | null;
}

export function refusal(errorCode: number, errorMessage: string, memberId = '', epoch = 0): BeatAnswer {
  return { errorCode, errorMessage, memberId, epoch, assigned: null };
}

export function accepted(memberId: string, epoch: number, assigned: Share | null): BeatAnswer {
  return { errorCode: KafkaError.NONE, errorMessage: null, memberId, epoch, assigned };
}

/** The member that holds a static name. */
export function holderOf({ members }: Group, instanceId: string): Member | undefined {
  for (const member of members.values()) if (member.instanceId === instanceId) return member;
  return undefined;
}

/** The topics that a member wants and that there are. */
export function topicsOf(
  { world, matches }: Group,
  { names, pattern }: Pick<Member, 'names' | 'pattern'>,
): Set<string> {
  const found = new Set(names.filter((name) => world.has(name)));
  if (pattern !== null) for (const name of matches.get(pattern) ?? []) found.add(name);
  return found;
}

export type GroupState = 'Empty' | 'Reconciling' | 'Stable';

export function stateOf({ epoch, members }: Group): GroupState {
  if (members.size === 0) return 'Empty';
  for (const member of members.values()) {
    if (member.phase !== 'stable' || member.epoch !== epoch) return 'Reconciling';
  }
  return 'Stable';
}

const PLACE_BYTES = 40;

/** What the clients gave to be kept for a group's members, and what their shares take. */
export function bytesOf({ members }: Group): number {
  let bytes = 0;
  for (const member of members.values()) bytes += bytesGiven(member) + member.target.size * PLACE_BYTES;
  return bytes;
}

export function bytesGiven(
  of: Pick<Member, 'id' | 'instanceId' | 'rackId' | 'clientId' | 'clientHost' | 'pattern' | 'names'>,
): number {
  const texts = [of.id, of.instanceId, of.rackId, of.clientId, of.clientHost, of.pattern, ...of.names];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}
