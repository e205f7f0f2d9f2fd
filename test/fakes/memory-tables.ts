// Tables in memory, for tests of rooms that keep rows. What was written stays in `rows`, so that a second room over the
// same rows is the first one after a restart. Writes can be held back, and can fail.

import type { Change, Tables } from '../../src/store/store.ts';

export class MemoryTables implements Tables {
  readonly rows: Map<string, Buffer>;
  writes = 0;
  /** While set, writes wait for it; what it rejects with, they reject with. */
  gate: Promise<void> | undefined;

  constructor(rows = new Map<string, Buffer>()) {
    this.rows = rows;
  }

  get(key: string): Promise<Buffer | undefined> {
    return Promise.resolve(this.rows.get(key));
  }

  async *entries(prefix: string): AsyncIterable<[key: string, value: Buffer]> {
    for (const key of [...this.rows.keys()].toSorted()) {
      await Promise.resolve();
      const value = this.rows.get(key);
      if (key.startsWith(prefix) && value !== undefined) yield [key, value];
    }
  }

  async write(changes: Change[]): Promise<void> {
    await this.gate;
    this.writes += 1;
    for (const [key, value] of changes) {
      if (value === null) this.rows.delete(key);
      else this.rows.set(key, Buffer.from(value));
    }
  }
}
