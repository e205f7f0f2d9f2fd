// A group that is played by hand: its state machine, a clock that the test moves, and the answers by member. Members are
// named by the test; ids are given by the broker as n1, n2, ...

import { EMPTY_GROUP, type Group, type GroupRules, type Input, type JoinInput } from '../../src/groups/state.ts';
import type { JoinAnswer, Output, SyncAnswer } from '../../src/groups/state.ts';
import { step, wakeMs } from '../../src/groups/group.ts';

export const RULES: GroupRules = {
  membersMax: 10,
  bytesMax: 1_000_000,
  sessionTimeoutMsMin: 6000,
  sessionTimeoutMsMax: 1_800_000,
  initialDelayMs: 0,
};

export const SESSION_MS = 10_000;
export const REBALANCE_MS = 60_000;

export class PlayedGroup {
  group: Group = EMPTY_GROUP;
  nowMs = 0;
  readonly rules: GroupRules;
  readonly answers = new Map<number, Output>();
  private tickets = 0;
  private ids = 0;

  constructor(rules: Partial<GroupRules> = {}) {
    this.rules = { ...RULES, ...rules };
  }

  private run(input: Input): void {
    const { group, outputs } = step(this.group, input, this.rules);
    this.group = group;
    for (const output of outputs) {
      if (this.answers.has(output.ticket)) throw new Error(`ticket ${output.ticket} is answered twice`);
      this.answers.set(output.ticket, output);
    }
  }

  /** Joins and returns the ticket; give an id to come again. */
  join(memberId = '', more: Partial<JoinInput> = {}): number {
    const ticket = ++this.tickets;
    this.run({
      kind: 'join',
      ticket,
      nowMs: this.nowMs,
      memberId,
      newMemberId: `n${++this.ids}`,
      instanceId: null,
      clientId: 'c',
      clientHost: '/h',
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('m') }],
      takesIdFirst: false,
      canSkipAssignment: true,
      ...more,
    });
    return ticket;
  }

  /** The answer to a join, if it is there. */
  joined(ticket: number): JoinAnswer | undefined {
    return (this.answers.get(ticket) as { answer: JoinAnswer } | undefined)?.answer;
  }

  sync(memberId: string, generation: number, assignments: Record<string, string> = {}, more = {}): number {
    const ticket = ++this.tickets;
    const given = Object.entries(assignments).map(([id, text]) => [id, Buffer.from(text)] as const);
    const speaker = { memberId, generation, instanceId: null, protocolType: null, protocol: null };
    this.run({ kind: 'sync', ticket, nowMs: this.nowMs, ...speaker, assignments: new Map(given), ...more });
    return ticket;
  }

  synced(ticket: number): (Omit<SyncAnswer, 'assignment'> & { assignment: string }) | undefined {
    const answer = (this.answers.get(ticket) as { answer: SyncAnswer } | undefined)?.answer;
    return answer === undefined ? undefined : { ...answer, assignment: answer.assignment.toString() };
  }

  /** What is answered with a code. */
  private code(input: Input & { kind: 'heartbeat' | 'commit' | 'leave' | 'delete' }): number {
    this.run(input);
    return (this.answers.get(input.ticket) as { errorCode: number }).errorCode;
  }

  heartbeat(memberId: string, generation = this.group.generation, instanceId: string | null = null): number {
    return this.code({
      kind: 'heartbeat',
      ticket: ++this.tickets,
      nowMs: this.nowMs,
      memberId,
      generation,
      instanceId,
    });
  }

  commit(memberId: string, generation: number, instanceId: string | null = null): number {
    return this.code({ kind: 'commit', ticket: ++this.tickets, nowMs: this.nowMs, memberId, generation, instanceId });
  }

  leave(memberId: string, instanceId: string | null = null): number {
    return this.code({ kind: 'leave', ticket: ++this.tickets, nowMs: this.nowMs, memberId, instanceId });
  }

  delete(): number {
    return this.code({ kind: 'delete', ticket: ++this.tickets, nowMs: this.nowMs });
  }

  stood(byMs: number): void {
    this.nowMs += byMs;
    this.run({ kind: 'stood', byMs });
  }

  /** Moves the time on, and ticks whenever the group wants it. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    let inVain = 0;
    for (let wake = wakeMs(this.group); wake <= endMs; wake = wakeMs(this.group)) {
      inVain = wake <= this.nowMs ? inVain + 1 : 0;
      if (inVain > 2) throw new Error(`the group wants to be woken at ${wake} again and again`);
      this.nowMs = Math.max(this.nowMs, wake);
      this.run({ kind: 'tick', nowMs: this.nowMs });
    }
    this.nowMs = endMs;
  }

  /** A stable group of so many members; the first one leads. Returns their ids. */
  settle(count: number, more: (index: number) => Partial<JoinInput> = () => ({})): string[] {
    let tickets: number[] = [];
    for (let index = 0; index < count; index++) {
      const known = tickets.map((ticket) => this.joined(ticket)!.memberId);
      tickets = [this.join('', more(index)), ...known.map((id, at) => this.join(id, more(at)))];
      // In the order of their first join.
      tickets = [...tickets.slice(1), tickets[0]!];
    }
    const ids = tickets.map((ticket) => this.joined(ticket)!.memberId);
    for (const id of ids.toReversed()) {
      this.sync(id, this.group.generation, Object.fromEntries(ids.map((each) => [each, `for ${each}`])));
    }
    if (this.group.phase !== 'Stable') throw new Error(`the group is ${this.group.phase}`);
    return ids;
  }
}
