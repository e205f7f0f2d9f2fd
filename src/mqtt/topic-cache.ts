// Topics that were published lately, found by their bytes: a device publishes the same few names for ever, and to check and
// decode one costs more than all else that this room does for a message. One slot a hash; a newcomer takes the place of
// what was there. Bounded: SLOTS names of at most NAME_BYTES_MAX.

import { topicFault, type NameBounds } from './topics.ts';

export interface KnownTopic {
  readonly text: string;
  /** Whether somebody had subscribed to it, as of a generation of the subscriptions; -1: not asked yet. */
  isWanted: boolean;
  wantedAt: number;
}

export interface TopicCache {
  /** The topic in `bytes[start, end)`, checked, or why it cannot be one. */
  find(bytes: Buffer, start: number, end: number): KnownTopic | string;
}

interface Entry extends KnownTopic {
  readonly bytes: Uint8Array;
}

const SLOTS = 4096;
const NAME_BYTES_MAX = 256;

export function createTopicCache(bounds: NameBounds): TopicCache {
  const slots = Array.from<Entry | undefined>({ length: SLOTS });

  function find(bytes: Buffer, start: number, end: number): KnownTopic | string {
    let hash = 0;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    const slot = (hash ^ (hash >>> 12)) & (SLOTS - 1);
    const known = slots[slot];
    if (known !== undefined && isSame(known.bytes, bytes, start, end)) return known;
    const fault = topicFault(bytes, start, end, bounds);
    if (fault !== undefined) return fault;
    const text = bytes.toString('utf8', start, end);
    if (text.startsWith('$SYS/')) return 'reserved for the server';
    const entry = { bytes: Uint8Array.prototype.slice.call(bytes, start, end), text, isWanted: false, wantedAt: -1 };
    if (end - start <= NAME_BYTES_MAX) slots[slot] = entry;
    return entry;
  }

  return { find };
}

function isSame(name: Uint8Array, bytes: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let index = 0; index < name.length; index++) if (name[index] !== bytes[start + index]) return false;
  return true;
}
