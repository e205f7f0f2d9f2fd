// Words for tests of decoding: rules as people write them, frames as hex or text, and what comes of them.

import * as v from 'valibot';
import { decodeRule, type DecodeRule } from '../../src/config-decode.ts';
import { compileRule, type Decoded, type Decoder, type FrameFacts } from '../../src/decode/decode.ts';

export const ARRIVAL_MS = Date.UTC(2026, 0, 31, 6, 0, 0);

const FACTS: FrameFacts = { topic: 'boiler' };

/** A rule with its defaults filled in, as the configuration has it. */
export function ruleOf(tree: unknown): DecodeRule {
  return v.parse(decodeRule, tree);
}

/** The decoder of a rule without mistakes. */
export function decoderOf(tree: unknown): Decoder {
  const { decoder, problems } = compileRule(ruleOf(tree), FACTS);
  if (decoder === undefined) throw new Error(problems.map(({ message }) => message).join('; '));
  return decoder;
}

/** The mistakes of a rule, each with its place: `struct.fields.1.at: ...`. */
export function mistakes(tree: unknown, facts: Partial<FrameFacts> = {}): string[] {
  const { problems } = compileRule(ruleOf(tree), { ...FACTS, ...facts });
  return problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

export function decode(tree: unknown, frame: Buffer | string): Decoded {
  return decoderOf(tree).decode(Buffer.from(frame), ARRIVAL_MS, { port: 'p1' });
}

/** The value of a record as text, or the reason in angle brackets. */
export function valueOf(tree: unknown, frame: Buffer | string): string {
  const decoded = decode(tree, frame);
  if (decoded.kind === 'misfit') return `<${decoded.reason}>`;
  return decoded.kind === 'heading' ? '<heading>' : String(decoded.value);
}

/** Bytes of hex with blanks between. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}
