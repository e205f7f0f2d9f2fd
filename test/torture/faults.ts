// The faults, each as one round: what happens to a node under load until it is there again. Afterwards the caller compares.

import type { Random } from '../fuzz/random.ts';
import { pause, until } from '../parts/until.ts';
import { damageRound } from './damage.ts';
import { underLoad, type Round } from './round.ts';
import type { Site } from './site.ts';

export const FAULTS = ['kill', 'power', 'fsync', 'full', 'clock', 'damage'] as const;
export type FaultName = (typeof FAULTS)[number];

/** How long a full disk is given to be noticed. */
const FULL_MS = 15_000;
/** What an opening, a roll or an append finds on the full disk. */
const LEAVE_BYTES = [0, 64 * 1024, 512 * 1024, 4 * 1024 * 1024];
const CLOCKS = ['+10y', '-1h', '-40y', '+25h', '@1970-01-01 00:00:10', '+0'];

export const ROUNDS: Record<FaultName, (site: Site, random: Random) => Promise<Round>> = {
  kill,
  power,
  fsync,
  full,
  clock,
  damage: damageRound,
};

/** SIGKILL under load; sometimes once more in the middle of the start. */
async function kill(site: Site, random: Random): Promise<Round> {
  await underLoad(site, random);
  await site.appliance.kill();
  let what = 'killed';
  if (random.below(5) === 0) {
    site.appliance.launch();
    await pause(random.below(1_200));
    await site.appliance.kill();
    what = 'killed twice, once in its start';
  }
  return { what, recoveryMs: await site.start() };
}

async function power(site: Site, random: Random): Promise<Round> {
  await underLoad(site, random);
  await site.appliance.kill();
  await site.card.cutPower();
  return { what: 'power cut', recoveryMs: await site.start() };
}

/** Syncs become slow or fail; then they are well again, or the node is killed, or the power goes, which shows what was not synced. */
async function fsync(site: Site, random: Random): Promise<Round> {
  await underLoad(site, random);
  const isFailing = random.below(4) > 0;
  const how = isFailing ? 'fail' : `slow ${50 + random.below(700)}`;
  await site.preload.setSync(how);
  await pause(200 + random.below(isFailing ? 1_000 : 2_000));
  const then = random.pick(['well again', 'killed', site.card.isOwn ? 'power cut' : 'killed']);
  const what = `fsync ${how}, ${then}`;
  if (then !== 'well again') await site.appliance.kill();
  if (then === 'power cut') await site.card.cutPower();
  await site.preload.setSync('');
  if (then === 'well again') return { what, recoveryMs: await site.goesOn('a sensor') };
  return { what, recoveryMs: await site.start() };
}

/** Another program fills the disk until nothing is acknowledged, and gives it free; the node may be killed meanwhile. */
async function full(site: Site, random: Random): Promise<Round> {
  await underLoad(site, random);
  const leave = random.pick(LEAVE_BYTES);
  await site.card.fill(leave);
  const isNoticed = await until('the disk is full', () => isStill(site), FULL_MS).then(
    () => true,
    () => false,
  );
  const isKilled = random.below(3) === 0;
  if (isKilled) await site.appliance.kill();
  const isTried = isKilled && random.below(2) === 0;
  if (isTried) {
    site.appliance.launch();
    await pause(1_000 + random.below(2_000));
    await site.appliance.kill();
  }
  await site.card.free();
  const how = isTried ? ', killed and started on the full disk' : isKilled ? ', killed' : '';
  const what = `full but for ${leave} bytes${isNoticed ? '' : ', not noticed'}${how}`;
  return { what, recoveryMs: isKilled ? await site.start() : await site.goesOn('a sensor') };
}

/** Nothing was acknowledged for a while. */
async function isStill(site: Site): Promise<boolean> {
  const before = site.acked();
  await pause(500);
  return site.acked() === before;
}

/** The wall clock jumps, under load or before a start, and stays there or comes back. */
async function clock(site: Site, random: Random): Promise<Round> {
  await underLoad(site, random);
  const to = random.pick(CLOCKS);
  const isKilled = random.below(2) === 0;
  if (isKilled) await site.appliance.kill();
  await site.preload.setClock(to);
  const what = `clock ${to}${isKilled ? ' before a start' : ''}`;
  return { what, recoveryMs: isKilled ? await site.start() : await site.goesOn('a sensor') };
}
