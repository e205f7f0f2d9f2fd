// Whether there is room for more records: under the budget, and on the disk, which others fill as well. All that lies in the
// folder counts, with the ballast as large as it will be, and with what LevelDB needs for its own work, so that neither is
// passed by what was taken.
//
//   room --(less left than what waits)--> refusing --(a quarter of the work's room is left again)--> room
//
// While it refuses no record is taken: nothing is acknowledged, and nothing is lost. Marks, positions and rows go on, within
// the room that is kept back for the store's work, so that readers, groups and mirrors go on and a full node can be drained.

import { formatBytes } from '../config-units.ts';
import type { Space, Store } from '../store/store.ts';

export type Bound = 'budget' | 'disk';

export interface Room {
  /** Why no record is taken at present; undefined while there is room. Costs little: asked for each record. */
  refusal(): { bound: Bound; reason: string } | undefined;
  /** What was read before it was full may be taken for a little while longer; true when that is used up, too. */
  isBeyond(): boolean;
  /** What is short, so that something should go before a record is refused. */
  short(): Bound | undefined;
  /** Bytes that have to go until it is not. */
  missingBytes(): number;
  /** Bytes that the cleaner may take for a while, under the budget. */
  spareBytes(): number;
  /** Bytes that records may still take. */
  leftBytes(): number;
  /** Bytes that records may take in all, as the budget has it. */
  recordBytesMax(): number;
  /** Looks at the store's figures again: after a commit, and when something is gone. */
  look(): void;
}

export interface RoomNeeds {
  store: Pick<Store, 'space'>;
  budgetBytes: number;
  /** What was taken and is not committed yet. */
  waitingBytes: () => number;
}

export function createRoom({ store, budgetBytes, waitingBytes }: RoomNeeds): Room {
  let left = leftIn(store.space(), budgetBytes);
  let refusing: { bound: Bound; reason: string } | undefined;

  function look(): void {
    const space = store.space();
    left = leftIn(space, budgetBytes);
    const spare = left.bytes - waitingBytes();
    if (spare < 0) refusing = { bound: left.bound, reason: reasonOf(left.bound, budgetBytes) };
    else if (spare > space.workBytes / 4) refusing = undefined;
  }

  return {
    look,
    refusal() {
      if (refusing === undefined && waitingBytes() > left.bytes) look();
      return refusing;
    },
    isBeyond: () => refusing !== undefined && left.bytes - waitingBytes() < -store.space().workBytes / 4,
    short() {
      look();
      return left.bytes - waitingBytes() < store.space().workBytes / 2 ? left.bound : undefined;
    },
    missingBytes() {
      look();
      return Math.max(0, store.space().workBytes / 2 - (left.bytes - waitingBytes()));
    },
    spareBytes() {
      look();
      return left.bytes - waitingBytes() + store.space().workBytes / 2;
    },
    leftBytes: () => Math.max(0, left.bytes - waitingBytes()),
    recordBytesMax() {
      const { ballastTargetBytes, workBytes } = store.space();
      return budgetBytes - ballastTargetBytes - workBytes;
    },
  };
}

/** What is left for records, by the bound that leaves less. */
function leftIn(space: Space, budgetBytes: number): { bound: Bound; bytes: number } {
  const { usedBytes, freeBytes = Infinity, ballastBytes, ballastTargetBytes, workBytes } = space;
  const keptBack = ballastTargetBytes - ballastBytes + workBytes;
  const inBudget = budgetBytes - usedBytes - keptBack;
  const onDisk = freeBytes - keptBack;
  return onDisk < inBudget ? { bound: 'disk', bytes: onDisk } : { bound: 'budget', bytes: inBudget };
}

function reasonOf(bound: Bound, budgetBytes: number): string {
  return bound === 'budget'
    ? `the budget of ${formatBytes(budgetBytes)} is reached, and nothing is left that may go`
    : 'the disk is full, by what others have on it';
}
