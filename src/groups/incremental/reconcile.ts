// Brings one member nearer to its target: first it gives up what it shall not have, then it gets what is free.

import { common, NOTHING, together, without, type Place, type Share } from './share.ts';
import type { Group, Member } from './state.ts';

/** The member after its heartbeat; `owned` is what it says that it has, null where it says nothing of it. */
export function reconciled(group: Group, member: Member, owned: Share | null): Member {
  if (member.phase === 'stable' && member.epoch === group.epoch) return member;
  if (member.phase !== 'unrevoked') return advanced(group, member, member.epoch, owned);
  return stillHas(owned, member.revoking) ? member : advanced(group, member, member.epoch + 1, owned);
}

/** Who says nothing has what it had. */
function stillHas(owned: Share | null, revoking: Share): boolean {
  return owned === null || common(revoking, owned).size > 0;
}

function advanced(group: Group, member: Member, epoch: number, owned: Share | null): Member {
  const kept = common(member.assigned, member.target);
  const revoking = without(member.assigned, kept);
  if (revoking.size > 0 && stillHas(owned, revoking)) {
    return { ...member, epoch, phase: 'unrevoked', assigned: kept, revoking };
  }
  const wanted = without(member.target, kept);
  const taken = wanted.size === 0 ? NOTHING : heldByOthers(group, member.id, wanted);
  const assigned = together(kept, without(wanted, taken));
  const phase = taken.size > 0 ? 'unreleased' : 'stable';
  return { ...member, epoch: group.epoch, phase, assigned, revoking: NOTHING };
}

function heldByOthers(group: Group, memberId: string, wanted: Share): Share {
  const taken = new Set<Place>();
  for (const { id, assigned, revoking } of group.members.values()) {
    if (id === memberId) continue;
    for (const place of assigned) if (wanted.has(place)) taken.add(place);
    for (const place of revoking) if (wanted.has(place)) taken.add(place);
  }
  return taken;
}
