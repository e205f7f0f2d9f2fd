// The groups of KIP-848's protocol that have members: runs their state machines, wakes them in time, and tells them when
// topics change. A group is here while it has members; its offsets, and that it was of this kind, are with offsets.ts.

import type { Clock } from '../../clock.ts';
import { KafkaError } from '../../formats/kafka/codes.ts';
import type { Log } from '../../log/log.ts';
import type { Others } from '../coordinator.ts';
import { Waker } from '../waker.ts';
import { faultOf } from './request.ts';
import { step, speakerCode, wakeMs } from './step.ts';
import { bytesOf, NO_GROUP, refusal } from './state.ts';
import type { BeatAnswer, BeatInput, Group, Input, Rules, World } from './state.ts';

export type Beat = Omit<BeatInput, 'kind' | 'nowMs'>;

export interface IncrementalNeeds {
  log: Pick<Log, 'topics' | 'onTopics'>;
  clock: Clock;
  rules: Rules;
  limits: { groupsMax: number; membersMax: number; bytesMax: number };
  /** Groups besides those here, with their members: together they keep to the limits. */
  others: () => Others;
  isKept: (groupId: string) => boolean;
  /** After a change of its members, with how many there were. */
  onChange: (groupId: string, before: number, after: number) => void;
}

export interface Incremental {
  readonly size: number;
  readonly members: number;
  readonly bytes: number;
  /** How often any of them had a new epoch. */
  readonly rebalances: number;
  ids(): Iterable<string>;
  group(groupId: string): Group | undefined;
  beat(groupId: string, beat: Beat): BeatAnswer;
  /** Takes a member out: a code. */
  expel(groupId: string, member: { memberId: string; instanceId: string | null }): number;
  /** Whether that member may commit and fetch offsets. */
  speakerCode(groupId: string, memberId: string, epoch: number): number;
  close(): void;
}

interface Live {
  group: Group;
  wakeMs: number;
  bytes: number;
}

export function openIncremental(needs: IncrementalNeeds): Incremental {
  const { log, clock, rules, limits } = needs;
  const live = new Map<string, Live>();
  let members = 0;
  let bytes = 0;
  let rebalances = 0;
  let isClosed = false;
  let world: World | undefined;
  const waker = new Waker({ clock, stood, beat: wake });
  const stopListening = log.onTopics(() => {
    world = undefined;
    for (const id of live.keys()) run(id, { kind: 'topics', nowMs: clock.monotonicMs() });
  });

  function topicsNow(): World {
    world ??= new Map(
      log.topics().map(({ name, id, partitions }) => {
        return [name, { id: id.toString('base64url'), partitions: partitions.length }];
      }),
    );
    return world;
  }

  /** What all groups together may have limits what one may. */
  function rulesFor(known: Live | undefined): Rules {
    const others = needs.others();
    return {
      ...rules,
      membersMax: Math.min(
        rules.membersMax,
        (known?.group.members.size ?? 0) + limits.membersMax - members - others.members,
      ),
      bytesMax: Math.min(rules.bytesMax, (known?.bytes ?? 0) + limits.bytesMax - bytes - others.bytes),
    };
  }

  function run(groupId: string, input: Input): BeatAnswer | undefined {
    const known = live.get(groupId);
    const before = known?.group ?? NO_GROUP;
    const { group, answer } = step(before, input, topicsNow(), rulesFor(known));
    keep(groupId, known, group);
    if (group.epoch !== before.epoch) rebalances += 1;
    if (group.members.size !== before.members.size) {
      needs.onChange(groupId, before.members.size, group.members.size);
    }
    return answer;
  }

  function keep(groupId: string, known: Live | undefined, group: Group): void {
    // What a heartbeat without news costs must not grow with the group.
    const isNews = known === undefined || group.epoch !== known.group.epoch;
    const size = isNews ? bytesOf(group) : known.bytes;
    members += group.members.size - (known?.group.members.size ?? 0);
    bytes += size - (known?.bytes ?? 0);
    if (group.members.size === 0) {
      bytes -= size;
      live.delete(groupId);
      return;
    }
    const next = { group, bytes: size, wakeMs: wakeMs(group) };
    live.set(groupId, next);
    waker.by(next.wakeMs);
  }

  function hasRoomFor(groupId: string): boolean {
    if (live.has(groupId) || needs.isKept(groupId)) return true;
    return live.size + needs.others().groups < limits.groupsMax;
  }

  function wake(nowMs: number): number | undefined {
    let next = Infinity;
    for (const [id, each] of live) {
      if (each.wakeMs <= nowMs) run(id, { kind: 'tick', nowMs });
      next = Math.min(next, live.get(id)?.wakeMs ?? Infinity);
    }
    return members > 0 ? next : undefined;
  }

  function stood(byMs: number): void {
    for (const id of live.keys()) run(id, { kind: 'stood', byMs });
  }

  function beat(groupId: string, asked: Beat): BeatAnswer {
    const { memberId, epoch } = asked;
    if (isClosed) return refusal(KafkaError.NOT_COORDINATOR, 'the node is being stopped', memberId, epoch);
    const input: Input = { kind: 'beat', nowMs: clock.monotonicMs(), ...asked };
    const fault = faultOf(input);
    if (fault !== undefined) return fault;
    if (epoch >= 0 && !hasRoomFor(groupId)) {
      return refusal(
        KafkaError.GROUP_MAX_SIZE_REACHED,
        `there are ${limits.groupsMax} groups already`,
        memberId,
        epoch,
      );
    }
    return run(groupId, input)!;
  }

  return {
    get size() {
      return live.size;
    },
    get members() {
      return members;
    },
    get bytes() {
      return bytes;
    },
    get rebalances() {
      return rebalances;
    },
    ids: () => live.keys(),
    group: (groupId) => live.get(groupId)?.group,
    beat,
    expel: (groupId, member) => run(groupId, { kind: 'expel', nowMs: clock.monotonicMs(), ...member })!.errorCode,
    speakerCode: (groupId, memberId, epoch) => {
      return speakerCode(live.get(groupId)?.group ?? NO_GROUP, memberId, epoch);
    },
    close() {
      isClosed = true;
      stopListening();
      waker.close();
    },
  };
}
