// What this machine tells of its clock, by whoever knows: systemd-timesyncd leaves a file; timedatectl asks the kernel,
// which chrony and ntpd tell, too; chronyc answers where there is no systemd; the kernel shows a real-time clock.

import { execFile } from 'node:child_process';
import { access, readFile, stat } from 'node:fs/promises';
import { NO_EVIDENCE, type Evidence } from './judge.ts';

const FILE = '/run/systemd/timesync/synchronized';
const TIMEDATECTL = ['timedatectl', 'show', '--property=NTPSynchronized', '--property=NTP'] as const;
const CHRONYC = ['chronyc', '-c', 'tracking'] as const;
const RTC = '/sys/class/rtc/rtc0/since_epoch';
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const ANSWER_MS_MAX = 2000;
/** Of the fields of `chronyc -c tracking` the last. */
const CHRONY_NORMAL = 'Normal';

/** Files that came with the program: npm gives those of a package a date of its own, a build or a clone that of today. */
const INSTALLED = [new URL('../../package.json', import.meta.url), new URL(import.meta.url)];
/** For want of files with a date: this program was first written in 2026. */
const WRITTEN_MS = Date.UTC(2026, 0, 1);

/** Where it is looked, and what is asked; tests have their own. */
export interface Witnesses {
  timesyncFile?: string;
  rtcFile?: string;
  /** Standard output of a command; undefined when there is none, or it fails. */
  run?: (command: readonly string[]) => Promise<string | undefined>;
}

/** Whether systemd-timesyncd has set the clock since the boot: a look at one file. */
export async function isSetByTimesyncd({ timesyncFile = FILE }: Witnesses = {}): Promise<boolean> {
  return access(timesyncFile).then(
    () => true,
    () => false,
  );
}

/** Asks everybody. Never rejects. */
export async function gatherEvidence(witnesses: Witnesses = {}): Promise<Evidence> {
  const { rtcFile = RTC, run = runCommand } = witnesses;
  const rtcMs = await rtcTime(rtcFile);
  if (await isSetByTimesyncd(witnesses)) {
    return { isSynchronised: true, by: 'systemd-timesyncd keeps it', isServed: true, rtcMs };
  }
  const answer = await run(TIMEDATECTL);
  if (answer?.includes('NTPSynchronized=') === true) {
    const isSynchronised = answer.includes('NTPSynchronized=yes');
    const isServed = answer.includes('NTP=yes');
    return { isSynchronised, by: 'a time server keeps it, says timedatectl', isServed, rtcMs };
  }
  const tracking = await run(CHRONYC);
  if (tracking !== undefined && tracking.trim() !== '') {
    const isSynchronised = tracking.trim().split(',').at(-1) === CHRONY_NORMAL;
    return { isSynchronised, by: 'a time server keeps it, says chrony', isServed: true, rtcMs };
  }
  return { ...NO_EVIDENCE, rtcMs };
}

async function rtcTime(file: string): Promise<number | undefined> {
  try {
    const seconds = Number((await readFile(file, 'utf8')).trim());
    return Number.isSafeInteger(seconds) ? seconds * 1000 : undefined;
  } catch {
    return undefined;
  }
}

function runCommand([program, ...args]: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program!, args, { timeout: ANSWER_MS_MAX }, (error, stdout) =>
      resolve(error === null ? stdout.trim() : undefined),
    );
  });
}

/** When this program was put on the machine, ms since 1970. */
export async function installedMs(): Promise<number> {
  const times = INSTALLED.map((file) => stat(file).then((stats) => stats.mtimeMs));
  return Math.max(WRITTEN_MS, ...(await Promise.all(times)));
}

/** The kernel's name for this boot; the same for all processes of it. */
export async function bootId(file = BOOT_ID): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => 'unknown')).trim();
}
