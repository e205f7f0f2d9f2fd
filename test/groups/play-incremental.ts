// A group of KIP-848's protocol that is played by hand: members that do what the answers say, a clock and topics that the
// test moves.

import type { Place, Share } from '../../src/groups/incremental/share.ts';
import { placeOf } from '../../src/groups/incremental/share.ts';
import { NO_GROUP, stateOf, type BeatAnswer, type Group, type Input } from '../../src/groups/incremental/state.ts';
import type { BeatInput, Rules, World } from '../../src/groups/incremental/state.ts';
import { step, wakeMs } from '../../src/groups/incremental/step.ts';

export const SESSION_MS = 10_000;
export const REBALANCE_MS = 60_000;

export function worldOf(topics: Record<string, number>, made = ''): World {
  return new Map(Object.entries(topics).map(([name, partitions]) => [name, { id: `${name}${made}`, partitions }]));
}

/** What a client knows of itself. */
export interface Player {
  id: string;
  epoch: number;
  owned: Set<Place>;
  names: string[];
  instanceId: string | null;
  saysAll: boolean;
}

export class PlayedIncremental {
  group: Group = NO_GROUP;
  nowMs = 0;
  world: World;
  readonly rules: Rules = { membersMax: 10, bytesMax: 100_000, sessionTimeoutMs: SESSION_MS };
  readonly players = new Map<string, Player>();

  constructor(topics: Record<string, number> = { t: 6 }) {
    this.world = worldOf(topics);
  }

  run(input: Input): BeatAnswer | undefined {
    const { group, answer } = step(this.group, input, this.world, this.rules);
    this.group = group;
    return answer;
  }

  beat(memberId: string, epoch: number, more: Partial<BeatInput> = {}): BeatAnswer {
    return this.run({
      kind: 'beat',
      nowMs: this.nowMs,
      memberId,
      epoch,
      instanceId: null,
      rackId: null,
      clientId: 'c',
      clientHost: '/h',
      rebalanceTimeoutMs: -1,
      names: null,
      pattern: null,
      assignor: null,
      owned: null,
      ...more,
    })!;
  }

  /** Joins as a player, who then goes along with whatever it is told when it is `played`. */
  join(id: string, more: Partial<BeatInput> = {}): BeatAnswer {
    const names = more.names === undefined ? ['t'] : more.names;
    const owned: Share = new Set();
    const answer = this.beat(id, 0, { rebalanceTimeoutMs: REBALANCE_MS, names, owned, ...more });
    const instanceId = more.instanceId ?? null;
    if (answer.errorCode !== 0) return answer;
    const own = { owned: new Set<Place>(), names: [...(names ?? [])], saysAll: false };
    const player: Player = { id, epoch: answer.epoch, instanceId, ...own };
    this.players.set(id, player);
    this.#take(player, answer);
    return answer;
  }

  /** One heartbeat: what it shall not have it has given up when it says so. */
  play(id: string, more: Partial<BeatInput> = {}): BeatAnswer {
    const player = this.players.get(id)!;
    const answer = this.#beatOf(player, more);
    this.#take(player, answer);
    return answer;
  }

  /** A heartbeat whose answer never comes: as a client does, it says everything with the next one. */
  playInVain(id: string): void {
    const player = this.players.get(id)!;
    this.#beatOf(player, {});
    player.saysAll = true;
  }

  #beatOf(player: Player, more: Partial<BeatInput>): BeatAnswer {
    const { id, epoch, instanceId, names } = player;
    const all = player.saysAll ? { rebalanceTimeoutMs: REBALANCE_MS, names } : {};
    player.saysAll = false;
    return this.beat(id, epoch, { owned: new Set(player.owned), instanceId, ...all, ...more });
  }

  #take(player: Player, { errorCode, epoch, assigned }: BeatAnswer): void {
    if (errorCode !== 0) {
      this.players.delete(player.id);
      return;
    }
    player.epoch = epoch;
    if (assigned !== null) player.owned = new Set(assigned);
  }

  /** All send heartbeats until nothing changes. Returns how many rounds it took. */
  settle(): number {
    for (let rounds = 1; rounds < 20; rounds++) {
      for (const id of this.players.keys()) this.play(id);
      if (stateOf(this.group) === 'Stable') return rounds;
    }
    throw new Error('the group does not come to rest');
  }

  topics(topics: Record<string, number>, made = ''): void {
    this.world = worldOf(topics, made);
    this.run({ kind: 'topics', nowMs: this.nowMs });
  }

  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (let wake = wakeMs(this.group); wake <= endMs; wake = wakeMs(this.group)) {
      this.nowMs = Math.max(this.nowMs, wake);
      this.run({ kind: 'tick', nowMs: this.nowMs });
    }
    this.nowMs = endMs;
  }

  /** Places by player, as numbers of partitions of `topic`. */
  shares(topic = 't'): number[][] {
    return [...this.players.values()].map(({ owned }) => {
      return [...owned].filter((place) => place.startsWith(`${topic} `)).map((place) => Number(place.split(' ')[1]));
    });
  }

  sizes(): number[] {
    return [...this.players.values()].map(({ owned }) => owned.size).toSorted((a, b) => a - b);
  }
}

export function places(topic: string, ...partitions: number[]): Set<Place> {
  return new Set(partitions.map((partition) => placeOf(topic, partition)));
}
