// Which rule decodes which frames of a port: that of its channel on a port with channels, else that of the port.

import type { SerialPort } from '../config.ts';
import { compileRule, type DecodeRule, type Decoder, type RuleProblem } from '../decode/decode.ts';
import { HeadwaterError } from '../errors.ts';

/** What is done with the frames of some channels, or of the whole port. */
export interface FrameRule {
  /** Undefined: the port's. */
  topic: string | undefined;
  /** Undefined: frames stay as they are. */
  decoder: Decoder | undefined;
}

export interface DecodingConfig extends FrameRule {
  /** In the order of the configuration: the first whose pattern fits decides. */
  channels: (FrameRule & { pattern: string })[];
}

/** The mistakes in a port's rules for decoding, with their places below the port. */
export function decodeProblems(config: SerialPort): RuleProblem[] {
  return compile(config).problems;
}

/** Throws CONFIG_INVALID for the first mistake. */
export function decodingConfig(config: SerialPort): DecodingConfig {
  const { decoding, problems } = compile(config);
  const [first] = problems;
  if (first === undefined) return decoding;
  const text = `serial port ${JSON.stringify(config.path ?? config.name)}: ${first.path.join('.')}: ${first.message}`;
  throw new HeadwaterError('CONFIG_INVALID', text);
}

function compile(config: SerialPort): { decoding: DecodingConfig; problems: RuleProblem[] } {
  const problems: RuleProblem[] = [];
  if (config.framing === 'modbus-rtu' && config.decode !== 'raw') {
    const message = 'there is nothing to decode: the registers of modbus-rtu have types of their own';
    problems.push({ path: ['decode'], message });
  }
  const facts = config.framing === 'fixed' ? { frameBytes: config.length } : {};
  const decoderOf = (rule: DecodeRule, topic: string, path: (string | number)[]): Decoder | undefined => {
    const compiled = compileRule(rule, { topic, ...facts });
    problems.push(...compiled.problems.map((each) => ({ ...each, path: [...path, ...each.path] })));
    return compiled.decoder;
  };
  const decoder = decoderOf(config.decode, config.topic, ['decode']);
  const entries = config.framing === 'bridge' ? config.channels : [];
  const channels = entries.map(({ channel, topic, decode }, index) => {
    // The port's rule, where it is in effect, was judged above: its mistakes are told there.
    const path = decode === undefined ? ['decode'] : ['channels', index, 'decode'];
    const rule = decode ?? (problems.length > 0 ? 'raw' : config.decode);
    return { pattern: channel, topic, decoder: decoderOf(rule, topic ?? config.topic, path) };
  });
  return { decoding: { topic: undefined, decoder, channels }, problems };
}

/** The rule for frames of `channel`. */
export function ruleOf(config: DecodingConfig, channel: string | undefined): FrameRule {
  if (channel === undefined) return config;
  return config.channels.find(({ pattern }) => fits(pattern, channel)) ?? config;
}

/** True when `name` is `pattern`, in which each `*` stands for any characters, or none. */
export function fits(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === name;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = name.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
