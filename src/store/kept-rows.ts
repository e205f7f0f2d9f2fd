// A second copy of the rows that must not be lost with the tables, in the segments: which topics there are, where partitions
// begin, how far mirrors and MQTT publications have come. A changed row goes along with the next commit, at no sync of its own, as a
// mark `row/<key>`; the first write of a segment has all of them. They are read only when the tables were damaged.

import type { Change, Tables } from './contract.ts';

const PREFIXES = ['topic/', 'meta/', 'start/', 'end/', 'position/', 'mqttpublished/'];
const COPY = 'row/';

export interface KeptRows {
  /** These changes are in the tables. */
  note(changes: readonly Change[]): void;
  /** Marks that the next commit takes along. Those that it was told before are not told again. */
  takeChanged(): Change[];
  /** The copy is lost, or some of it: the next commit takes all rows along. */
  renew(): void;
  /** Marks with all rows, for a new segment. */
  all(): Change[];
}

export async function loadKeptRows(tables: Tables): Promise<KeptRows> {
  const rows = new Map<string, Buffer>();
  let changed = new Map<string, Buffer | null>();
  for (const prefix of PREFIXES) {
    for await (const [key, value] of tables.entries(prefix)) rows.set(key, value);
  }
  return {
    note(changes) {
      for (const [key, value] of changes) {
        if (!isKept(key)) continue;
        changed.set(key, value);
        if (value === null) rows.delete(key);
        else rows.set(key, value);
      }
    },
    takeChanged() {
      const taken = [...changed].map(([key, value]): Change => [COPY + key, value]);
      changed = new Map();
      return taken;
    },
    renew: () => void (changed = new Map([...rows, ...changed])),
    all: () => [...rows].map(([key, value]): Change => [COPY + key, value]),
  };
}

/** The key of the row that a mark is a copy of. */
export function copiedKey(mark: string): string | undefined {
  return mark.startsWith(COPY) ? mark.slice(COPY.length) : undefined;
}

/** Puts back what the tables have lost, and what is further in the copy; returns how many rows that were. */
export async function restoreRows(tables: Tables, copies: ReadonlyMap<string, Buffer>): Promise<number> {
  const changes: Change[] = [];
  for (const [key, copy] of copies) {
    const row = await tables.get(key);
    if (row === undefined || (!row.equals(copy) && isFurther(key, copy, row))) changes.push([key, copy]);
  }
  await tables.write(changes);
  return changes.length;
}

/** Rows that only ever grow: one that is behind is an old version. Of definitions the copy counts. */
function isFurther(key: string, copy: Buffer, row: Buffer): boolean {
  if (key.startsWith('position/')) return offsetIn(copy) >= offsetIn(row);
  const [a, b] = [Number(copy.toString()), Number(row.toString())];
  return Number.isNaN(a) || Number.isNaN(b) || a > b;
}

function offsetIn(position: Buffer): number {
  try {
    return (JSON.parse(position.toString('utf8')) as { offset: number }).offset;
  } catch {
    return -1;
  }
}

function isKept(key: string): boolean {
  return PREFIXES.some((prefix) => key.startsWith(prefix));
}
