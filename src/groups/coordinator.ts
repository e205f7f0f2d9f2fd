// The groups that have members: runs their state machines, gives each request its answer, and wakes them in time. Groups
// whose members are gone fall out of here, unless `isKept` says that something of theirs is left.
//
// One timer serves all groups (waker.ts).

import type { Clock } from '../clock.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import { step, wakeMs } from './group.ts';
import {
  bytesOf,
  EMPTY_GROUP,
  refusedJoin,
  refusedSync,
  joinOutput,
  syncOutput,
  type Group,
  type GroupRules,
  type Input,
  type JoinAnswer,
  type JoinInput,
  type Output,
  type SyncAnswer,
  type SyncInput,
} from './state.ts';
import { Waker } from './waker.ts';

export interface CoordinatorLimits {
  groupsMax: number;
  /** Members, and ids that were given out, of all groups. */
  membersMax: number;
  /** What clients gave to be kept for them. */
  bytesMax: number;
}

export interface CoordinatorNeeds {
  clock: Clock;
  rules: GroupRules;
  limits: CoordinatorLimits;
  /** Groups besides those here, with their members: together they keep to the limits. */
  others: () => Others;
  isKept: (groupId: string) => boolean;
  /** After each change; `before` is the state that the group had. */
  onChange: (groupId: string, before: Group, after: Group) => void;
}

export interface Others {
  groups: number;
  members: number;
  bytes: number;
}

/** An input without what the coordinator adds. */
export type Asked<T> = T extends Input ? Omit<T, 'ticket' | 'nowMs'> : never;

interface Live {
  group: Group;
  wakeMs: number;
  bytes: number;
}

export class Coordinator {
  readonly #needs: CoordinatorNeeds;
  readonly #live = new Map<string, Live>();
  readonly #owed = new Map<number, (output: Output) => void>();
  #tickets = 0;
  #members = 0;
  #bytes = 0;
  readonly #waker: Waker;
  #isClosed = false;

  constructor(needs: CoordinatorNeeds) {
    this.#needs = needs;
    this.#waker = new Waker({
      clock: needs.clock,
      stood: (byMs) => {
        for (const id of this.#live.keys()) this.#run(id, { kind: 'stood', byMs });
      },
      beat: (nowMs) => this.#beat(nowMs),
    });
  }

  /** Members, and ids that were given out. */
  get members(): number {
    return this.#members;
  }

  get bytes(): number {
    return this.#bytes;
  }

  ids(): Iterable<string> {
    return this.#live.keys();
  }

  get size(): number {
    return this.#live.size;
  }

  group(groupId: string): Group | undefined {
    return this.#live.get(groupId)?.group;
  }

  join(groupId: string, input: Asked<JoinInput>): Promise<JoinAnswer> {
    return new Promise((resolve) => {
      const ticket = this.#owe((output) => resolve((output as Output & { kind: 'join' }).answer));
      const isRefused = this.#isClosed || !this.#hasRoomFor(groupId);
      if (isRefused) {
        const code = this.#isClosed ? KafkaError.NOT_COORDINATOR : KafkaError.GROUP_MAX_SIZE_REACHED;
        this.#pay([joinOutput(ticket, refusedJoin(code, input.memberId))]);
      } else {
        this.#run(groupId, { ...input, ticket, nowMs: this.#nowMs() });
      }
    });
  }

  sync(groupId: string, input: Asked<SyncInput>): Promise<SyncAnswer> {
    return new Promise((resolve) => {
      const ticket = this.#owe((output) => resolve((output as Output & { kind: 'sync' }).answer));
      if (this.#isClosed) this.#pay([syncOutput(ticket, refusedSync(KafkaError.NOT_COORDINATOR))]);
      else this.#run(groupId, { ...input, ticket, nowMs: this.#nowMs() });
    });
  }

  /** What is answered at once: with a code. */
  ask(groupId: string, input: Asked<Input & { kind: 'heartbeat' | 'commit' | 'leave' | 'delete' }>): number {
    let code: number = KafkaError.NOT_COORDINATOR;
    if (this.#isClosed) return code;
    const ticket = this.#owe((output) => (code = (output as Output & { kind: 'code' }).errorCode));
    this.#run(groupId, { ...input, ticket, nowMs: this.#nowMs() });
    return code;
  }

  /** Whether a group of that name is here or could be made. */
  #hasRoomFor(groupId: string): boolean {
    if (this.#live.has(groupId) || this.#needs.isKept(groupId)) return true;
    return this.#live.size + this.#needs.others().groups < this.#needs.limits.groupsMax;
  }

  #nowMs(): number {
    return this.#needs.clock.monotonicMs();
  }

  #owe(settle: (output: Output) => void): number {
    this.#tickets += 1;
    this.#owed.set(this.#tickets, settle);
    return this.#tickets;
  }

  #pay(outputs: readonly Output[]): void {
    for (const output of outputs) {
      const settle = this.#owed.get(output.ticket);
      this.#owed.delete(output.ticket);
      settle?.(output);
    }
  }

  #run(groupId: string, input: Input): void {
    const live = this.#live.get(groupId);
    const before = live?.group ?? EMPTY_GROUP;
    const { group, outputs } = step(before, input, this.#rulesFor(live));
    this.#keep(groupId, live, group, input.kind !== 'heartbeat' && input.kind !== 'commit');
    if (group.phase !== before.phase || group.generation !== before.generation) {
      this.#needs.onChange(groupId, before, group);
    }
    this.#pay(outputs);
    // While anybody is here time is looked at, so that it is seen when this process stands still.
    if (this.#members > 0) this.#waker.by(Infinity);
  }

  /** What all groups together may have limits what one may. */
  #rulesFor(live: Live | undefined): GroupRules {
    const { rules, limits } = this.#needs;
    const own = live === undefined ? 0 : live.group.members.size + live.group.pending.size;
    const others = this.#needs.others();
    return {
      ...rules,
      membersMax: Math.min(rules.membersMax, own + limits.membersMax - this.#members - others.members),
      bytesMax: Math.min(rules.bytesMax, (live?.bytes ?? 0) + limits.bytesMax - this.#bytes - others.bytes),
    };
  }

  #keep(groupId: string, live: Live | undefined, group: Group, hasNewBytes: boolean): void {
    const isOver = group.phase === 'Empty' && group.pending.size === 0 && !this.#needs.isKept(groupId);
    const bytes = hasNewBytes ? bytesOf(group) : (live?.bytes ?? 0);
    const own = group.members.size + group.pending.size;
    this.#members += own - (live === undefined ? 0 : live.group.members.size + live.group.pending.size);
    this.#bytes += bytes - (live?.bytes ?? 0);
    if (isOver || group.phase === 'Dead') this.#live.delete(groupId);
    else this.#live.set(groupId, { group, bytes, wakeMs: wakeMs(group) });
    const wake = this.#live.get(groupId)?.wakeMs ?? Infinity;
    if (wake < Infinity) this.#waker.by(wake);
  }

  /** What `isKept` spoke for is gone. */
  forget(groupId: string): void {
    const live = this.#live.get(groupId);
    if (live !== undefined) this.#keep(groupId, live, live.group, false);
  }

  #beat(nowMs: number): number | undefined {
    let wake = Infinity;
    for (const [id, live] of this.#live) {
      if (live.wakeMs <= nowMs) this.#run(id, { kind: 'tick', nowMs });
      wake = Math.min(wake, this.#live.get(id)?.wakeMs ?? Infinity);
    }
    return this.#members > 0 ? wake : undefined;
  }

  /** Everything that waits is answered: the client looks for another coordinator, and finds this node when it is back. */
  close(): void {
    this.#isClosed = true;
    this.#waker.close();
    for (const { group } of this.#live.values()) {
      for (const { id, joining, syncing } of group.members.values()) {
        if (joining !== undefined) this.#pay([joinOutput(joining, refusedJoin(KafkaError.NOT_COORDINATOR, id))]);
        if (syncing !== undefined) this.#pay([syncOutput(syncing, refusedSync(KafkaError.NOT_COORDINATOR))]);
      }
    }
  }
}
