// What is looked at, by number: each check takes the facts and says what it found and what to do next. Numbers are for
// people's scripts and notes: one keeps its meaning for ever, and none is given twice. docs/operations.md lists them. Pure.

import { formatAge, formatAmount, formatDuration, formatLife } from '../config-units.ts';
import type { Status } from '../http/status.ts';

/** `note`: good to know. `warning`: will become a fault, or loses something. `error`: somebody has to act. */
export type Severity = 'ok' | 'note' | 'warning' | 'error';

export interface Check {
  id: string;
  name: string;
  severity: Severity;
  /** One sentence. */
  found: string;
  /** What to do about it; not there when there is nothing to do. */
  next?: string;
}

export interface Facts {
  status: Pick<Status, 'clock' | 'log' | 'wear' | 'mirrors' | 'serial' | 'health'>;
  /** The file system of the data folder. */
  disk?: { freeBytes: number; totalBytes: number };
  folder: { path: string; isWritable: boolean; isReadableByAll: boolean };
  /** Secrets of the configuration that every user of the machine can read. */
  openSecrets: readonly string[];
  /** Doors that other machines reach and that ask nobody who he is. */
  openDoors: readonly { name: string; listen: string; asksBy: string | undefined }[];
  /** False for a folder that is looked at without its node. */
  isRunning: boolean;
}

type Finding = Omit<Check, 'id' | 'name'>;

interface Known {
  id: string;
  name: string;
  /** Undefined: it can't be told here. */
  look: (facts: Facts) => Finding | undefined;
}

const HOUR_MS = 3_600_000;
const FULL_SOON_MS = 24 * HOUR_MS;
const MIB = 2 ** 20;
/** The ballast, and what the store needs for its work. */
const FREE_BYTES_MIN = 64 * MIB;
const YEARS_ERROR = 0.5;
const YEARS_WARNING = 3;
/** What a few hours show may be a moment's work. */
const MEASURED_SECONDS_MIN = 6 * 3600;
const LIFE_USED_ERROR = 0.9;
const LIFE_USED_WARNING = 0.7;
const SLOW_COMMIT_SECONDS = 0.2;
const COMMITS_MIN = 100;
const WORST_COMMIT_MS = 5000;

export const CHECKS: readonly Known[] = [
  { id: 'HW001', name: 'clock', look: clock },
  { id: 'HW002', name: 'card takes writes', look: writes },
  { id: 'HW003', name: 'wear of the card', look: wear },
  { id: 'HW004', name: 'disk space', look: diskSpace },
  { id: 'HW005', name: 'budget of the log', look: budget },
  { id: 'HW006', name: 'backlog', look: backlog },
  { id: 'HW007', name: 'upstream', look: upstream },
  { id: 'HW008', name: 'permissions of the data folder', look: permissions },
  { id: 'HW009', name: 'secrets', look: secrets },
  { id: 'HW010', name: 'doors to the network', look: doors },
  { id: 'HW011', name: 'serial ports', look: serial },
  { id: 'HW012', name: 'speed of the card', look: speed },
  { id: 'HW013', name: 'losses', look: losses },
  { id: 'HW014', name: 'ballast', look: ballast },
];

/** All checks that can be made with these facts, in order. */
export function examine(facts: Facts): Check[] {
  const checks: Check[] = [];
  for (const { id, name, look } of CHECKS) {
    const finding = look(facts);
    if (finding !== undefined) checks.push({ id, name, ...finding });
  }
  return checks;
}

function ok(found: string): Finding {
  return { severity: 'ok', found };
}

function note(found: string, next?: string): Finding {
  return next === undefined ? { severity: 'note', found } : { severity: 'note', found, next };
}

function warning(found: string, next: string): Finding {
  return { severity: 'warning', found, next };
}

function error(found: string, next: string): Finding {
  return { severity: 'error', found, next };
}

function clock({ status, isRunning }: Facts): Finding | undefined {
  if (!isRunning) return undefined;
  const { state, why, systemMs, timeMs, unsureRecords, jumps, lastJumpSeconds = 0 } = status.clock;
  const says = `the clock says ${new Date(systemMs).toISOString()}`;
  const next =
    'let systemd-timesyncd or chrony run and reach a time server, or fit a real-time clock; `clock.trust: always` if it is right';
  if (state === 'unsure')
    return error(
      `${says}, which is not believed: ${why}; ${unsureRecords} records wait for their right times, and nothing expires by age`,
      next,
    );
  if (state === 'kept')
    return error(`${says}, which is not believed: ${why}; records bear ${new Date(timeMs).toISOString()}`, next);
  if (jumps > 0)
    return warning(
      `${says}, and has jumped ${jumps} times since the start, last by ${formatAge(Math.abs(lastJumpSeconds) * 1000)} ${lastJumpSeconds < 0 ? 'back' : 'ahead'}`,
      next,
    );
  if (state === 'synchronised') return ok(`${says}: ${why}`);
  return note(`${says}, which is believed: ${why}`);
}

function writes({ status, isRunning }: Facts): Finding {
  const { state, reason } = status.log;
  const found = `${reason ?? 'unknown'}; nothing is acknowledged`;
  if (state === 'ok') return ok(isRunning ? 'the card takes writes' : 'the log can be opened');
  if (state === 'full') return error(found, 'see HW005: what is upstream makes room, or raise data.budget');
  if (state === 'read-only') return error(`read-only: ${found}`, 'see HW004: remove what others have on this disk');
  const next = 'copy the data folder to another card, `headwater log verify` tells what is sound';
  return error(`the card refuses writes: ${found}`, next);
}

function wear({ status }: Facts): Finding {
  const { commit, card, recent, yearsLeft } = status.wear;
  const own = `${formatAmount(recent.processBytesPerDay)} a day by headwater`;
  const next =
    'a longer commit.interval writes less, a larger or better card lasts longer; commit.profile, card.size and card.endurance say what card it is';
  const used = card.lifeUsed ?? 0;
  if (used >= LIFE_USED_WARNING) {
    const found = `the card itself says that up to ${Math.round(100 * used)} % of its life are used up`;
    const replace = 'plan to replace it: stop the node, copy the data folder to a new card, start it there';
    return used >= LIFE_USED_ERROR ? error(found, replace) : warning(found, replace);
  }
  if (yearsLeft === undefined || recent.seconds < MEASURED_SECONDS_MIN) {
    const cost = `commits each ${formatDuration(commit.intervalMs)} may cost ${formatAmount(commit.bytesPerDayMax)} a day, ${formatLife(commit.yearsMin)} of the card`;
    return commit.yearsMin < 1
      ? warning(`${cost}, if somebody publishes all the time`, next)
      : ok(`${cost}; not measured long enough for more`);
  }
  const found = `the card lasts ${formatLife(yearsLeft)} at the pace of the last ${formatAge(recent.seconds * 1000)} (${own})`;
  if (yearsLeft < YEARS_ERROR) return error(found, next);
  return yearsLeft < YEARS_WARNING ? warning(found, next) : ok(found);
}

function diskSpace({ disk, status }: Facts): Finding | undefined {
  if (disk === undefined) return undefined;
  const { freeBytes, totalBytes } = disk;
  const { budgetBytes, diskBytes, room, state } = status.log;
  const found = `${formatAmount(freeBytes)} of ${formatAmount(totalBytes)} are free`;
  const remove = 'remove what other programs have left on this disk';
  if (state === 'read-only') return error(`${found}: it serves and mirrors, and takes no record`, remove);
  if (freeBytes < FREE_BYTES_MIN) return error(`${found}: the log needs some to go on`, remove);
  // What the ballast is still to take is in both.
  const wanted = budgetBytes - diskBytes;
  if (freeBytes >= wanted) return ok(`${found}, the log may still take ${formatAmount(wanted)} of them`);
  const fits = diskBytes + freeBytes - FREE_BYTES_MIN;
  return warning(
    `${found}, and the budget lets the log take ${formatAmount(wanted)} more: the disk is full before`,
    fits > room.ballastTargetBytes ? `set data.budget to ${formatAmount(fits)} or less, or free some space` : remove,
  );
}

function budget({ status }: Facts): Finding {
  const { diskBytes, budgetBytes, dropped, droppedUnsent, room, state } = status.log;
  const share = Math.round((100 * diskBytes) / budgetBytes);
  const found = `the log takes ${formatAmount(diskBytes)}, ${share} % of its budget`;
  const raise = 'raise data.budget, shorten retention of what is not mirrored, or mend the link';
  if (state === 'full')
    return error(`${found}: publishers are held back`, `${raise}; or let go of old records: whenFull`);
  if (droppedUnsent.bytes > 0) {
    const lost = `${formatAmount(droppedUnsent.bytes)} were dropped before a mirror had sent them`;
    return error(`${found}; ${lost}`, raise);
  }
  const { fullSeconds } = room;
  if (fullSeconds !== undefined && fullSeconds * 1000 < FULL_SOON_MS) {
    return warning(`${found}, and is full in ${formatAge(fullSeconds * 1000)} at the present pace`, raise);
  }
  if (dropped.records > 0) return note(`${found}; ${dropped.records} of the oldest records were dropped`, raise);
  return ok(found);
}

function ballast({ status, isRunning }: Facts): Finding | undefined {
  const { ballastBytes, ballastTargetBytes } = status.log.room;
  // A folder that is looked at has none, and a node makes it when it has run for a while.
  if (!isRunning || ballastTargetBytes === 0) return undefined;
  const found = `${formatAmount(ballastBytes)} of ${formatAmount(ballastTargetBytes)} are kept back for a full disk`;
  if (ballastBytes >= ballastTargetBytes) return ok(found);
  return note(
    `${found}: the rest is made when there is room`,
    'see HW004; a node that is ended without it may need room to start',
  );
}

function backlog({ status }: Facts): Finding | undefined {
  if (status.mirrors.length === 0) return undefined;
  const { budgetBytes } = status.log;
  const waits = status.mirrors.map(({ name, backlog: { records, bytes, ageSeconds } }) => {
    const text = `${records} records (${formatAmount(bytes)}) wait for ${name}, the oldest for ${formatAge(ageSeconds * 1000)}`;
    return { text, bytes, isOld: ageSeconds * 1000 > HOUR_MS };
  });
  const found = waits.map(({ text }) => text).join('; ');
  const next = 'see HW007 and `headwater status`; the card can be carried: `headwater log export`';
  if (waits.some(({ bytes }) => bytes > budgetBytes / 2)) return error(`${found}: more than half of the budget`, next);
  return waits.some(({ isOld }) => isOld) ? warning(found, next) : ok(found);
}

function upstream({ status, isRunning }: Facts): Finding | undefined {
  if (!isRunning) return undefined;
  if (status.mirrors.length === 0)
    return note('no mirror is configured: records stay here until they expire', 'set `mirror`');
  const bad = status.mirrors.filter(({ problems }) => problems.length > 0);
  if (bad.length === 0) return ok(status.mirrors.map(({ name, state }) => `${name} is ${state}`).join(', '));
  const found = bad.map(({ name, state, problems }) => `${name} is ${state}: ${problems.join('; ')}`).join('; ');
  const next =
    'docs/config.md#mirror has the settings; a link that is down is tried for ever, one that is refused needs somebody';
  return bad.some(({ state }) => state === 'refused') ? error(found, next) : warning(found, next);
}

function permissions({ folder, isRunning }: Facts): Finding {
  const { path, isWritable, isReadableByAll } = folder;
  if (!isWritable && !isRunning) return note(`${path} can be read, and not written by this user`);
  if (!isWritable)
    return error(
      `${path} can't be written by this user`,
      'chown it to the user that headwater runs as, or set data.dir',
    );
  if (isReadableByAll) return warning(`every user of this machine can read ${path}`, `chmod o-rwx ${path}`);
  return ok(`${path} is this user's alone`);
}

function secrets({ openSecrets }: Facts): Finding {
  if (openSecrets.length === 0) return ok('no secret can be read by everybody');
  return warning(`every user of this machine can read ${openSecrets.join(', ')}`, 'chmod o-r these files');
}

function doors({ openDoors }: Facts): Finding {
  if (openDoors.length === 0) return ok('no door is open to the network without asking who comes');
  const found = openDoors.map(({ name, listen }) => `${name} (${listen})`).join(', ');
  const ways = openDoors.map(({ name, asksBy }) =>
    asksBy === undefined ? `keep ${name}.listen on 127.0.0.1 or behind a firewall` : `set ${asksBy}`,
  );
  return warning(`everybody who reaches it may use ${found}`, ways.join('; '));
}

function serial({ status }: Facts): Finding | undefined {
  if (status.serial.length === 0) return undefined;
  const bad = status.serial.filter(({ problems }) => problems.length > 0);
  if (bad.length === 0) return ok(`${status.serial.length} serial ports work`);
  const found = bad.map(({ name, problems }) => `${name}: ${problems.join('; ')}`).join('; ');
  return warning(found, '`headwater serial list` tells what is plugged in, `serial monitor` what comes');
}

function speed({ status, isRunning }: Facts): Finding | undefined {
  const { count, seconds, worstMs } = status.log.commits;
  if (!isRunning || count < COMMITS_MIN) return undefined;
  const mean = seconds / count;
  const found = `a commit takes ${Math.round(mean * 1000)} ms, the slowest took ${Math.round(worstMs)} ms`;
  const next =
    'a card that is worn out becomes slow first: see HW003; other programs that write much slow it down, too';
  return mean > SLOW_COMMIT_SECONDS || worstMs > WORST_COMMIT_MS ? warning(found, next) : ok(found);
}

function losses({ status }: Facts): Finding {
  const { gaps, records, quarantineBytes } = status.log.losses;
  const aside = quarantineBytes > 0 ? `; ${formatAmount(quarantineBytes)} of damaged folders are set aside` : '';
  if (gaps === 0)
    return aside === ''
      ? ok('the card has lost nothing')
      : note(
          `no record is missing${aside}`,
          'remove them when nobody wants to look into them: quarantine/ in the data folder',
        );
  const next = '`headwater gaps` lists them; a card that has begun to lose goes on: copy what it has to another';
  return warning(`the card has lost up to ${records} records in ${gaps} ranges${aside}`, next);
}
