// What the kinds of rules have in common: a rule's body reads one frame, writes it as the value of a record, and gives
// the text of single fields for keys and times. Pure, compiled once a port.

/** Why a frame does not fit its rule, in words. */
export class Misfit {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A mistake in a rule; `path` leads to it from the rule. */
export interface RuleProblem {
  path: (string | number)[];
  message: string;
}

/** `Read` is what the body makes of a frame before it writes: the frame itself, cells, a text with places in it. */
export interface Body<Read> {
  /** The rule in words: `struct of 3 fields in 8 bytes`. */
  words: string;
  /** Never throws, whatever the bytes are. */
  read(frame: Buffer): Read | Misfit;
  /** Undefined: the frame is right and makes no record (a line of headings). */
  value(read: Read): Buffer | string | undefined;
  /** The text of a field, undefined in a frame that has none. Undefined: there is no such field, or it has no text. */
  textOf(name: string): ((read: Read) => string | undefined) | undefined;
  /** The fields that textOf() knows, for hints; undefined where any name may be one. */
  names: readonly string[] | undefined;
  /** Units by field, of those that have one. */
  units: Readonly<Record<string, string>>;
}

/** Bytes or text of the device as they are quoted in a reason: short, one line. */
export function excerpt(text: string): string {
  const quoted = JSON.stringify(text.length > 40 ? `${text.slice(0, 37)}...` : text);
  return quoted.length > 80 ? `${quoted.slice(0, 76)}..."` : quoted;
}
