// The keys of a segment, in one place. A segment is a LevelDB over all partitions; LevelDB orders keys by their bytes.
//
//   batch      | partition u32BE | lastOffset u64BE |           -> one RecordBatch v2, as it goes over the wire
//   mark       | ff 6d | key, UTF-8                 |           -> what is atomic with records (a QoS 2 packet id, ...)
//   complete   | ff 63 |                                        -> present when the segment's set of marks is whole
//   full       | ff 66 |                                        -> present when it takes no more, and the next one was begun
//   commit     | ff 73 |                                        -> number of the last commit, u64BE
//
// Numbers of partitions stay below 0xff000000, so the two kinds never meet. The key holds a batch's *last* offset: a seek
// to (partition, offset) then finds the batch that contains the offset.

import assert from 'node:assert';

export const PARTITION_MAX = 0xfeffffff;

const MARK = Buffer.from('ff6d', 'hex');
/** First key after all marks. */
export const MARKS_END = Buffer.from('ff6e', 'hex');
export const MARKS_START = MARK;
export const COMPLETE_KEY = Buffer.from('ff63', 'hex');
export const FULL_KEY = Buffer.from('ff66', 'hex');
export const COMMIT_KEY = Buffer.from('ff73', 'hex');

export function batchKey(partition: number, offset: number): Buffer {
  assert(partition >= 0 && partition <= PARTITION_MAX, `partition number ${partition}`);
  assert(Number.isSafeInteger(offset) && offset >= 0, `offset ${offset}`);
  const key = Buffer.allocUnsafe(12);
  key.writeUInt32BE(partition, 0);
  key.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), 4);
  key.writeUInt32BE(offset >>> 0, 8);
  return key;
}

export function decodeBatchKey(key: Buffer): { partition: number; lastOffset: number } {
  return { partition: key.readUInt32BE(0), lastOffset: key.readUInt32BE(4) * 0x1_0000_0000 + key.readUInt32BE(8) };
}

/** Behind all keys that there are: a compaction of this range touches nothing that is stored. */
export const BEHIND_ALL = Buffer.from('ffff', 'hex');

/** First key after all batches. */
export const BATCHES_END = Buffer.from('ff', 'hex');

export function markKey(name: string): Buffer {
  return Buffer.concat([MARK, Buffer.from(name, 'utf8')]);
}

export function decodeMarkKey(key: Buffer): string {
  return key.toString('utf8', MARK.length);
}

export function encodeCommitNumber(commit: number): Buffer {
  const value = Buffer.allocUnsafe(8);
  value.writeBigUInt64BE(BigInt(commit));
  return value;
}
