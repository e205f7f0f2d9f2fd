// The header of records that headwater stamped while nobody knew the time: how it came by the timestamp. JSON:
//
//   headwater.clock   {"boot":"<the kernel's name of the boot>","upMs":<ms since that boot began>,"stampMs":<timestamp>}
//
// `stampMs` is the timestamp as it was given. A record whose timestamp is another one by the time it is read was put right.

import type { ClockDoubt } from '../clock.ts';
import type { RecordHeader } from './record.ts';

export const CLOCK_HEADER = 'headwater.clock';

/** An upper bound of the bytes that it takes in a record. */
export const CLOCK_HEADER_BYTES_MAX = 160;

/** Counts the record. */
export function clockHeader(doubt: ClockDoubt, stampMs: number): RecordHeader {
  doubt.records += 1;
  const upMs = Math.round(doubt.upMs(stampMs));
  return { key: CLOCK_HEADER, value: Buffer.from(JSON.stringify({ boot: doubt.bootId, upMs, stampMs })) };
}
