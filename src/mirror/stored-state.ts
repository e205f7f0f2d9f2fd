// What a mirror keeps with each position, so that the next process can settle what this one left in doubt.

import type { Position } from '../log/log.ts';
import { startAt, type Progress } from './progress.ts';

/** The upstream partition that a position belongs to. */
export interface Home {
  clusterId: string;
  topicId: string;
  topic: string;
  partition: number;
}

export interface StoredState {
  home: Home;
  producerId: number;
  producerEpoch: number;
  /** Sequence of the record at the position's offset. */
  sequence: number;
  upstreamOffset: number;
  /** True when nothing was in doubt. */
  clean: boolean;
  hardwareId?: string;
}

/**
 * The position to keep. `isFinal`: this process sends nothing more. Only then, or while it has no producer id, is
 * nothing in doubt for the next process: whatever is written earlier may be followed by a batch without an answer.
 */
export function encodeState(
  progress: Progress,
  home: Home,
  hardwareId: string | undefined,
  isFinal: boolean,
): Position {
  const { offset, producerId, producerEpoch, sequence, upstreamOffset, doubt } = progress;
  const clean = doubt === undefined && (isFinal || producerId < 0);
  const state: StoredState = { home, producerId, producerEpoch, sequence, upstreamOffset, clean };
  if (hardwareId !== undefined) state.hardwareId = hardwareId;
  return { offset, state };
}

/** The progress of the process before, with all that the log holds beyond the position in doubt unless it ended clean. */
export function restoreState(position: Position, logEnd: number): Progress {
  const state = stateOf(position);
  const progress = startAt(position.offset);
  if (state === undefined || state.clean || state.producerId < 0 || logEnd <= position.offset) return progress;
  progress.producerId = state.producerId;
  progress.producerEpoch = state.producerEpoch;
  progress.isInherited = true;
  progress.sequence = state.sequence;
  progress.origin = { offset: position.offset, sequence: state.sequence };
  progress.upstreamOffset = state.upstreamOffset;
  progress.doubt = { count: logEnd - position.offset, isWhole: false, isStray: true };
  return progress;
}

export function stateOf(position: Position | undefined): StoredState | undefined {
  return position?.state as StoredState | undefined;
}
