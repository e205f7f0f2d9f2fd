// The hash by which Kafka's Java client chooses a partition: 32-bit MurmurHash2 (Austin Appleby, public domain) with
// Kafka's fixed seed, over little-endian words. Pure bytes. The same key therefore lands in the same partition whether
// it comes in by MQTT, by a serial line or from a Kafka client.

const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** MurmurHash2 of `bytes` as a signed 32-bit number, equal to the Java client's. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  const wordsEnd = length & ~3;
  let hash = SEED ^ length;
  for (let at = 0; at < wordsEnd; at += 4) {
    let word = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16);
    word = Math.imul(word | (byteAt(bytes, at + 3) << 24), M);
    hash = Math.imul(hash, M) ^ Math.imul(word ^ (word >>> 24), M);
  }
  const rest = length - wordsEnd;
  if (rest === 3) hash ^= byteAt(bytes, wordsEnd + 2) << 16;
  if (rest >= 2) hash ^= byteAt(bytes, wordsEnd + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ byteAt(bytes, wordsEnd), M);
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}

/** The partition, 0 to `partitions` - 1, that Kafka's default partitioner gives a record with this key. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}
