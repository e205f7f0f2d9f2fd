// Chance that can be repeated: a small generator whose seed is printed, and can be given as HEADWATER_SEED. And the ways to
// spoil bytes that fuzzing uses.

/** Numbers that depend on the seed alone. */
export interface Random {
  /** From 0 up to, not including, `limit`. */
  below(limit: number): number;
  /** `length` random bytes. */
  bytes(length: number): Buffer;
  pick<T>(items: readonly T[]): T;
}

/** The seed of this run: HEADWATER_SEED, or a new one. Printed, so that a failure can be repeated. */
export function printedSeed(what: string): number {
  const given = process.env['HEADWATER_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  if (!Number.isInteger(seed)) throw new Error(`HEADWATER_SEED=${given} is no integer`);
  console.log(`${what}: HEADWATER_SEED=${seed}`);
  return seed;
}

/** A linear congruential generator with its low bits mixed: quick, and good enough to spoil bytes. */
export function openRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    return (mixed ^ (mixed >>> 12)) >>> 0;
  };
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit);
  return {
    below,
    bytes: (length) => Buffer.from(Uint8Array.from({ length }, () => next() & 0xff)),
    pick: (items) => items[below(items.length)]!,
  };
}

// Bytes at which decoders change their mind: zero, one, minus one, the edges of a varint byte and of signs.
const EDGES = [0, 1, 2, 3, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff];

/** A copy of `bytes` with one to six wrongs: changed, cut, removed, doubled, and foreign parts. */
export function spoil(random: Random, bytes: Buffer): Buffer {
  let spoilt: Buffer = Buffer.from(bytes);
  for (let count = 1 + random.below(6); count > 0 && spoilt.length > 0; count--) spoilt = spoilOnce(random, spoilt);
  return spoilt;
}

function spoilOnce(random: Random, bytes: Buffer): Buffer {
  // Headers are short and the rest is long: half of the wrongs go to the first 80 bytes.
  const at = random.below(random.below(2) === 0 ? Math.min(80, bytes.length) : bytes.length);
  const length = random.below(Math.min(12, bytes.length - at)) + 1;
  switch (random.below(8)) {
    case 0:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
    case 2:
      bytes[at] = random.pick(EDGES);
      return bytes;
    case 3:
      return bytes.fill(random.pick(EDGES), at, at + length);
    case 4:
      return bytes.subarray(0, at);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 6:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(length), bytes.subarray(at + length)]);
  }
}
