// The schedule: faults come at random from a seed, one after the other on one card under load, until the card has been used for
// long enough; then comes a new one. After each fault the log is held against the ledgers. The first difference ends the run,
// and what is on the card is kept.

import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/errors.ts';
import { openRandom, type Random } from '../fuzz/random.ts';
import type { Difference } from '../parts/sightings.ts';
import { openCard, whyNoCard, writeLines } from './card.ts';
import { ROUNDS, type FaultName } from './faults.ts';
import { openPreload, whyNoClock, whyNoSync } from './preload.ts';
import { openSite, type Finding, type Site } from './site.ts';
import { Tally, type Progress } from './report.ts';

export interface Options {
  /** No round begins later. */
  minutes: number;
  /** Nor after so many. */
  rounds: number;
  faults: readonly FaultName[];
  seed: number;
  /** Where the cards are made. */
  dir: string;
  progress: Progress;
}

export interface Outcome {
  tally: Tally;
  /** Faults that were wanted and can't be made here, with the reason. */
  notRun: Map<FaultName, string>;
  differences: Difference[];
  /** Where the card that differs was copied to. */
  kept?: string;
}

const CARD_BYTES = 120 * 1024 * 1024;
const CARD_ROUNDS = 80;
/** Between two of these only what is new is read. */
const ROUNDS_PER_FULL_READING = 25;
const COMMITS = [
  { interval: '100ms', burst: '0ms' },
  { interval: '100ms', burst: '5m' },
  { interval: '10ms', burst: '0ms' },
];

export function emptyOutcome(): Outcome {
  return { tally: new Tally(), notRun: new Map(), differences: [] };
}

/** Fills `outcome` as it goes. Throws when it can't run at all; what goes wrong on a card is in the outcome. */
export async function runTorture(options: Options, outcome: Outcome): Promise<void> {
  const { seed, dir, progress } = options;
  const random = openRandom(seed);
  const noCard = await whyNoCard(dir);
  const faults = await possible(options.faults, noCard, outcome.notRun);
  if (faults.length === 0) return;
  const folder = await mkdtemp(join(dir, 'headwater-torture-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const preload = await openPreload(folder, { sync: faults.includes('fsync'), clock: faults.includes('clock') });
  const endMs = performance.now() + options.minutes * 60_000;
  let rounds = 0;
  let deck: FaultName[] = [];
  /** Of this card. */
  let again = 0;
  const isOver = (): boolean => performance.now() >= endMs || rounds >= options.rounds;
  try {
    while (!isOver() && outcome.differences.length === 0) {
      outcome.tally.cards += 1;
      again = 0;
      rounds += await useCard(noCard === undefined);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }

  /** Each of the faults comes once before one comes again. */
  function draw(): FaultName {
    if (deck.length === 0) deck = [...faults];
    return deck.splice(random.below(deck.length), 1)[0]!;
  }

  /** A card's life. Returns how many faults it has seen. */
  async function useCard(isOwn: boolean): Promise<number> {
    await preload.setClock('+0');
    await preload.setSync('');
    const card = await openCard(dir, isOwn);
    let site: Site | undefined;
    let done = 0;
    let fault: FaultName = faults[0]!;
    try {
      site = await openSite(card, preload, { commit: random.pick(COMMITS) });
      await site.goesOn('all');
      while (done < CARD_ROUNDS && performance.now() < endMs && rounds + done < options.rounds) {
        fault = draw();
        const finding = await playRound(site, fault, done, random);
        done += 1;
        if (finding.differences.length > 0 || site.isOver) return done;
        if ((await site.bytes()) > CARD_BYTES) break;
      }
      await preload.setSync('');
      await site.settle();
      note(fault, 'the end of the card', await site.compare('all'));
    } catch (error) {
      note(fault, 'not foreseen', {
        differences: [{ kind: 'foreign', text: messageOf(error) }],
        told: 0,
        untold: 0,
        gaps: 0,
        again: 0,
      });
    } finally {
      if (outcome.differences.length > 0 && site !== undefined) outcome.kept = await keep(site);
      await site?.close();
      await card.remove();
    }
    return done;
  }

  async function playRound(site: Site, fault: FaultName, index: number, random: Random): Promise<Finding> {
    const { tally } = outcome;
    const [ackedBefore, writtenBefore] = [site.acked(), site.appliance.writtenBytes()];
    progress.show(`card ${tally.cards}, fault ${rounds + index + 1}: ${fault} ... ${summary(tally)}`);
    const round = await ROUNDS[fault](site, random);
    tally.round(fault, round);
    const isAll = fault === 'damage' || index % ROUNDS_PER_FULL_READING === ROUNDS_PER_FULL_READING - 1;
    const finding = await site.compare(isAll ? 'all' : 'new');
    tally.row(fault).acked += site.acked() - ackedBefore;
    tally.row(fault).writtenBytes += site.appliance.writtenBytes() - writtenBefore;
    if (fault === 'damage') {
      const untold = finding.untold === 0 ? '' : `, ${finding.untold} lost with the end of the log, untold`;
      progress.say(`${round.what}: held ${round.held} records; ${finding.told} lost, in ${finding.gaps} gaps${untold}`);
    }
    note(fault, round.what, finding);
    return finding;
  }

  function note(fault: FaultName, what: string, finding: Finding): void {
    outcome.tally.find(fault, finding);
    outcome.tally.again += Math.max(0, finding.again - again);
    again = Math.max(again, finding.again);
    outcome.differences.push(...finding.differences);
    if (finding.differences.length === 0) return;
    progress.say(`DIFFERENT after ${fault} (${what}), seed ${seed}:`);
    for (const { kind, text } of finding.differences.slice(0, 20)) progress.say(`  ${kind}: ${text}`);
    if (finding.differences.length > 20) progress.say(`  and ${finding.differences.length - 20} more`);
  }

  async function keep(site: Site): Promise<string> {
    const kept = join(dir, `headwater-torture-kept-${seed}`);
    await rm(kept, { recursive: true, force: true });
    await mkdir(kept);
    await site.appliance.kill();
    await site.card.keep(join(kept, 'card'));
    await writeFile(join(kept, 'output'), site.appliance.output());
    await writeLines(join(kept, 'ledgers'), site.ledgers());
    return kept;
  }
}

async function possible(
  wanted: readonly FaultName[],
  noCard: string | undefined,
  notRun: Map<FaultName, string>,
): Promise<FaultName[]> {
  const reasons: Partial<Record<FaultName, string | undefined>> = {
    power: noCard,
    full: noCard,
    fsync: wanted.includes('fsync') ? await whyNoSync() : undefined,
    clock: wanted.includes('clock') ? await whyNoClock() : undefined,
  };
  for (const fault of wanted) {
    const reason = reasons[fault];
    if (reason !== undefined) notRun.set(fault, reason);
  }
  return wanted.filter((fault) => !notRun.has(fault));
}

function summary({ rows, again }: Tally): string {
  let [acked, wrong, gaps] = [0, 0, 0];
  for (const row of rows.values()) {
    acked += row.acked;
    wrong += row.lost + row.doubled + row.reordered + row.other;
    gaps += row.gaps;
  }
  return `acknowledged ${acked}, wrong ${wrong}, gaps ${gaps}, QoS 1 again ${again}`;
}
