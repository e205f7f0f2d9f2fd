// The store: what lies on the card. A series of small LevelDBs (segments) holds the batches of all partitions; one more
// (tables) holds what need not be atomic with records. This is the only room that imports classic-level.

/** One encoded batch on its way to the card. `value` belongs to the store until `write` settles. */
export interface BatchWrite {
  /** The store's number of the partition: unique for ever, below 0xff000000. */
  partition: number;
  firstOffset: number;
  lastOffset: number;
  /** Largest record timestamp in the batch, ms. */
  maxTimestampMs: number;
  value: Buffer;
}

/** A change of a mark or of a table's row; `null` removes it. */
export type Change = [key: string, value: Buffer | null];

/**
 * Small rows beside the log: topic definitions, MQTT sessions and retained messages, positions. Keys are strings; the
 * part before the first `/` names the table. Every write is synced, and writes that wait together share one sync.
 */
export interface Tables {
  get(key: string): Promise<Buffer | undefined>;
  /** All rows whose key starts with `prefix`, in key order. */
  entries(prefix: string): AsyncIterable<[key: string, value: Buffer]>;
  /** Resolves when all the changes are on the card (all of them or, after a crash, none). */
  write(changes: Change[]): Promise<void>;
}
