// What each member of a group shall have: made anew, by the assignor that most members ask for, whenever members,
// subscriptions or topics have changed. That is a new epoch of the group.

import { range } from './range.ts';
import { bytesGiven, topicsOf, type Group, type Member, type Rules, type World } from './state.ts';
import { matcherOf } from './topic-pattern.ts';
import { uniform, type Assignor } from './uniform.ts';

/** By the names that Kafka gives them. The first one counts where no member asks for any. */
export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', uniform],
  ['range', range],
]);
const DEFAULT_ASSIGNOR = 'uniform';

/** One step's copy of a group, which may be changed; the members in it may only be replaced. */
export interface Turn {
  group: { -readonly [K in keyof Group]: Group[K] } & { members: Map<string, Member> };
  readonly world: World;
  readonly rules: Rules;
}

export function retarget({ group, world }: Turn): void {
  lookAt(group, world);
  group.epoch += 1;
  group.assignor = wantedAssignor(group);
  const members = [...group.members.values()];
  const wanted = members.map((member) => topicsOf(group, member));
  group.subscribed = seen(world, wanted);
  const shares = ASSIGNORS.get(group.assignor)!(
    members.map(({ id, instanceId, target }, at) => ({ id, rank: instanceId ?? id, target, topics: wanted[at]! })),
    group.subscribed,
  );
  for (const member of members) group.members.set(member.id, { ...member, target: shares.get(member.id)! });
}

/** Whether topics that members want have come, gone, grown or been made anew. */
export function isOutdated(turn: Turn): boolean {
  const { group, world } = turn;
  if (group.world === world) return false;
  lookAt(group, world);
  const wanted = [...group.members.values()].map((member) => topicsOf(group, member));
  const now = seen(world, wanted);
  if (now.size !== group.subscribed.size) return true;
  for (const [name, { id, partitions }] of now) {
    const before = group.subscribed.get(name);
    if (before?.id !== id || before.partitions !== partitions) return true;
  }
  return false;
}

/** Whether what the member says can be kept beside what the others said. */
export function hasRoomFor({ group, rules }: Turn, member: Member): boolean {
  let bytes = bytesGiven(member);
  for (const each of group.members.values()) if (each.id !== member.id) bytes += bytesGiven(each);
  return bytes <= rules.bytesMax;
}

/** Resolves patterns: each once for a world. */
function lookAt(group: Turn['group'], world: World): void {
  const known = group.world === world ? group.matches : new Map<string, readonly string[]>();
  const matches = new Map<string, readonly string[]>();
  for (const { pattern } of group.members.values()) {
    if (pattern === null || matches.has(pattern)) continue;
    matches.set(pattern, known.get(pattern) ?? matching(pattern, world));
  }
  group.world = world;
  group.matches = matches;
}

function matching(pattern: string, world: World): string[] {
  const matches = matcherOf(pattern);
  return pattern === '' ? [] : [...world.keys()].filter(matches);
}

function seen(world: World, wanted: readonly ReadonlySet<string>[]): World {
  const names = new Set(wanted.flatMap((each) => [...each]));
  return new Map([...names].toSorted().map((name) => [name, world.get(name)!]));
}

function wantedAssignor({ members }: Group): string {
  const votes = new Map<string, number>();
  for (const { assignor } of members.values()) {
    if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1);
  }
  let best: string | undefined;
  for (const [name, count] of votes) if (best === undefined || count > votes.get(best)!) best = name;
  return best ?? DEFAULT_ASSIGNOR;
}
