// Whether a time server keeps this machine's clock, by whoever knows: systemd-timesyncd leaves a file, and timedatectl asks
// the kernel, which chrony and ntpd tell, too.

import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';

const FILE = '/run/systemd/timesync/synchronized';
const COMMAND = ['timedatectl', ['show', '--property=NTPSynchronized', '--value']] as const;
const ANSWER_MS_MAX = 2000;

/** Undefined where nobody can tell. */
export async function isClockSynchronised(
  file = FILE,
  ask: () => Promise<string | undefined> = askSystemd,
): Promise<boolean | undefined> {
  try {
    await access(file);
    return true;
  } catch {
    // Not by that daemon, or not yet.
  }
  const answer = await ask();
  return answer === 'yes' ? true : answer === 'no' ? false : undefined;
}

function askSystemd(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const [program, args] = COMMAND;
    execFile(program, args, { timeout: ANSWER_MS_MAX }, (error, stdout) =>
      resolve(error === null ? stdout.trim() : undefined),
    );
  });
}
