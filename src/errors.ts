// The one kind of error that may happen in headwater's own code, and the one list of its codes. Doors translate a code
// into their protocol's words once, in a `Record<Code, ...>` that does not compile until a new code is mapped.
// What can never happen is an `assert`, not one of these.

export type Code =
  // Bytes that are not what they should be. Decoders throw these two and no others, whatever they are given.
  | 'FORMAT_TRUNCATED'
  | 'FORMAT_CORRUPT'
  // The store.
  | 'STORE_LOCKED' // Another process owns the folder.
  | 'STORE_CORRUPT' // What is on the card contradicts itself.
  | 'STORE_UNAVAILABLE' // The card refuses writes at present; nothing of this request was kept. Try again later.
  // The log.
  | 'LOG_FULL' // More bytes wait for their commit than may wait. Try again when room is announced.
  | 'LOG_CLOSED'
  | 'TOPIC_UNKNOWN'
  | 'TOPIC_EXISTS'
  | 'TOPIC_INVALID' // Name or settings are not allowed.
  | 'OFFSET_OUT_OF_RANGE'
  | 'GROUP_UNKNOWN'
  | 'TRANSACTION_UNKNOWN'
  | 'GROUP_BUSY' // A consumer group has members: what was asked needs one without.
  | 'RECORD_TOO_LARGE'
  | 'RECORD_INVALID' // A batch that breaks a rule of the log (count, control bit, two batches, and so on).
  | 'TIMESTAMP_INVALID' // A record is further from the node's time than its topic allows.
  | 'SEQUENCE_OUT_OF_ORDER' // Idempotent producer: Kafka's error 45.
  | 'PRODUCER_FENCED' // Idempotent producer: Kafka's error 47.
  | 'TRANSACTION_STATE' // A batch that does not fit the transaction that its producer has, or has not, open here.
  // Serial ports.
  | 'PORT_MISSING' // There is no such port, or its device is not plugged in.
  | 'PORT_REFUSED' // It is there, and is in use, shut, or not what was asked for.
  // People.
  | 'CONFIG_INVALID'
  | 'USAGE'
  | 'NOT_PERMITTED' // A login was refused, or is not possible: a password, a token, a permission is missing or wrong.
  | 'NOT_REACHABLE' // The daemon, or the upstream, does not answer.
  | 'UPSTREAM_REFUSED' // A mirror's upstream says no for a reason that a person must mend.
  | 'TIMED_OUT';

/** An error that may happen. `message` says what was tried and on what; `cause` is always kept. */
export class HeadwaterError extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'HeadwaterError';
    this.code = code;
  }
}

/** True when `error` is a HeadwaterError, of the given code if one is given. */
export function isHeadwaterError(error: unknown, code?: Code): error is HeadwaterError {
  return error instanceof HeadwaterError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown, for a line of trace. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
