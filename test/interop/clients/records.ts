// The records that every client of the matrix writes, by their number, and those that it says it has read. driver.py,
// Driver.java and franz-go/main.go make the same.

export interface WrittenRecord {
  partition: number;
  key: string | null;
  value: string;
  headers: [string, string][];
  timestampMs: number;
}

/** What a driver tells of a record that it has read. */
export interface SeenRecord {
  partition: number;
  offset: number;
  timestampMs: number;
  key: string | null;
  value: string | null;
  headers: [string, string | null][];
}

export const WRITTEN_PARTITIONS = 2;

export function recordOf(index: number): WrittenRecord {
  return {
    partition: index % WRITTEN_PARTITIONS,
    key: index % 10 === 9 ? null : `key-${index % 5}`,
    value: JSON.stringify({ sequence: index, text: 'water level '.repeat(4) }),
    headers: [
      ['number', String(index)],
      ['empty', ''],
    ],
    timestampMs: 1_700_000_000_000 + index,
  };
}

export function recordsOf(from: number, to: number): WrittenRecord[] {
  return Array.from({ length: to - from }, (_, index) => recordOf(from + index));
}
