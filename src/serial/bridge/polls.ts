// Whose turn it is on a line with several devices (firmware-bridge/SPEC.md section 8), as a pure table: addresses that
// answer are asked round and round, at once again while they have something to say; silent ones ever more rarely, so that
// all of them together cost no more than a tenth of the line.

export interface Poll {
  address: number;
  dueAtMs: number;
  /** Turns in a row without an answer. */
  silent: number;
}

export type Polls = readonly Poll[];

/** How a turn ended: the device had records, had none, or did not answer. */
export type Ended = 'busy' | 'idle' | 'silent';

/** Between two turns of a device that has nothing to say. */
export const IDLE_MS = 20;
/** A device that has just been lost is asked this often at first. */
const SILENT_MS = 200;
/** A silent turn costs this many times itself before the same address is asked again, for each address there is. */
const SHARE = 10;

export function createPolls(addresses: readonly number[]): Polls {
  return addresses.map((address) => ({ address, dueAtMs: 0, silent: 0 }));
}

/** The address that waits longest; undefined if none is due yet. */
export function whoIsDue(polls: Polls, nowMs: number): number | undefined {
  let due: Poll | undefined;
  for (const poll of polls) if (poll.dueAtMs <= nowMs && (due === undefined || poll.dueAtMs < due.dueAtMs)) due = poll;
  return due?.address;
}

/** When somebody is due. */
export function nextDueMs(polls: Polls): number {
  return Math.min(...polls.map((poll) => poll.dueAtMs));
}

/** The turn of `address` has ended; a turn without an answer takes `silentTurnMs` of the line. */
export function afterTurn(polls: Polls, address: number, ended: Ended, nowMs: number, silentTurnMs: number): Polls {
  return polls.map((poll) => {
    if (poll.address !== address) return poll;
    if (ended !== 'silent') return { address, silent: 0, dueAtMs: nowMs + (ended === 'busy' ? 0 : IDLE_MS) };
    const restMs = Math.min(SILENT_MS * 2 ** poll.silent, silentTurnMs * SHARE * polls.length);
    return { address, silent: poll.silent + 1, dueAtMs: nowMs + restMs };
  });
}
