// Bytes of a record whose end has not come: grows as they come, so that a record in many small chunks is copied a few
// times and not once a chunk. The caller bounds it.

export interface Held {
  bytes(): number;
  add(part: Buffer): void;
  /** What is held, valid until the next call of add() or drop(). */
  view(): Buffer;
  /** Forgets the first `count` bytes. */
  drop(count: number): void;
  /** All that is held, as a copy of its own; nothing is held then. */
  take(): Buffer;
}

/** Memory that is kept while nothing is held. */
const IDLE_BYTES = 1024;

export function createHeld(): Held {
  let room = Buffer.allocUnsafe(IDLE_BYTES);
  let count = 0;

  function drop(bytes: number): void {
    room.copy(room, 0, bytes, count);
    count -= bytes;
    if (count === 0 && room.length > IDLE_BYTES) room = Buffer.allocUnsafe(IDLE_BYTES);
  }

  return {
    bytes: () => count,
    add(part) {
      if (count + part.length > room.length) {
        const larger = Buffer.allocUnsafe(Math.max(room.length * 2, count + part.length));
        room.copy(larger, 0, 0, count);
        room = larger;
      }
      part.copy(room, count);
      count += part.length;
    },
    view: () => room.subarray(0, count),
    drop,
    take() {
      const taken = Buffer.from(room.subarray(0, count));
      drop(count);
      return taken;
    },
  };
}
