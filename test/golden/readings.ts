// What the golden files hold: the script that made them and the tests that decode them both take it from here.

import type { NewRecord, RecordHeader } from '../../src/formats/batch.ts';

export interface Reading {
  key: string | null;
  /** Null is a tombstone. */
  value: string | null;
}

/** A few records with what a text line can carry: a null value, an empty key, more than ASCII. */
export const FEW: Reading[] = [
  { key: 'line1/press', value: JSON.stringify({ celsius: 21.5, note: 'x'.repeat(200) }) },
  { key: 'line1/press', value: JSON.stringify({ celsius: 21.75, note: 'x'.repeat(200) }) },
  { key: 'line2/förderband', value: 'läuft, 3 €' },
  { key: 'line2/förderband', value: null },
  { key: 'line1/press', value: JSON.stringify({ celsius: 22, note: 'x'.repeat(300) }) },
];

/** Enough for several blocks of every compression, about 190 KB. Deterministic. */
export const MANY: Reading[] = Array.from({ length: 1500 }, (_, index) => ({
  key: `line${index % 4}/machine${index % 11}`,
  value: `{"sequence":${index},"celsius":${20 + ((index * 7919) % 500) / 100},"state":"${'abcdefgh'.repeat(9)}"}`,
}));

/** Headers that the text producers put on each record. */
export const HEADERS: RecordHeader[] = [
  { key: 'site', value: Buffer.from('north') },
  { key: 'unit', value: Buffer.from('°C') },
];

/** The records of GoldenProducer.java: times more than an int32 of milliseconds apart, and odd headers. */
export const TIMES: NewRecord[] = [
  { timestampMs: 1_700_000_000_000, key: Buffer.from('a'), value: Buffer.from('first'), headers: [] },
  { timestampMs: 0, key: null, value: Buffer.from('long before'), headers: [] },
  { timestampMs: 4_000_000_000_000, key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] },
  {
    timestampMs: 1_700_000_000_001,
    key: Buffer.from([0, 0xff]),
    value: null,
    headers: [
      { key: 'twice', value: Buffer.from('1') },
      { key: 'twice', value: null },
      { key: 'größe', value: Buffer.alloc(0) },
      { key: '', value: Buffer.from([0xff]) },
    ],
  },
];
