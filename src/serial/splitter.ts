// What cuts a stream of bytes into records: pure, without a clock. It holds at most about one record.

export interface Splitter {
  /** Calls `onRecord` for each record that ends in `chunk`, in order; the chunk must not be changed while they are in use. */
  push(chunk: Buffer, onRecord: (record: Buffer) => void): void;
  /** Nothing came for as long as the settings say. */
  idle(onRecord: (record: Buffer) => void): void;
  /** Forgets what is unfinished, after the stream was interrupted. Returns how many bytes of it were held. */
  reset(): number;
  counts(): SplitterCounts;
}

export interface SplitterCounts {
  /** Records above the bound. */
  overlong: number;
  /** How often the stream was out of step, or silent in the middle of a record. */
  invalid: number;
  /** Bytes that belong to no record that could be told. */
  skipped: number;
}
