// `headwater serial decode`: what a port's rule makes of some bytes, without a device or a node. Exit code 1 if a frame does
// not fit.

import { explainConfig, type SerialPort } from '../config.ts';
import { HeadwaterError } from '../errors.ts';
import { tryDecoding, type Trial } from '../serial/serial.ts';
import { createTrace } from '../trace.ts';
import { inputOf } from './config.ts';
import { EXIT } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export interface DecodeOptions {
  config?: string;
  port?: string;
  channel?: string;
  text: boolean;
  output: 'text' | 'json';
}

/** Each of `frames` is one frame, in hex or, with `text`, as it is written. Throws USAGE, CONFIG_INVALID. */
export async function decodeSerial(
  frames: readonly string[],
  options: DecodeOptions,
  terminal: Terminal,
): Promise<number> {
  const { roomMistakes } = await import('../headwater.ts');
  const { config } = explainConfig({ ...inputOf(options.config, terminal), rooms: roomMistakes });
  const port = portOf(config.serial, options.port);
  const trace = createTrace({ write: () => undefined, clock: terminal.clock });
  let isFit = true;
  for (const frame of frames) {
    const bytes = options.text ? Buffer.from(frame) : bytesOfHex(frame);
    const trial = tryDecoding(port, { bytes, channel: options.channel }, { clock: terminal.clock, trace });
    isFit &&= trial.kind !== 'undecoded';
    terminal.out.write(options.output === 'json' ? asJson(trial) : asText(trial));
  }
  return isFit ? EXIT.done : EXIT.failed;
}

/** The port that is meant: by its name or path, or the only one. */
function portOf(ports: readonly SerialPort[], wanted: string | undefined): SerialPort {
  const isNamed = (port: SerialPort): boolean =>
    wanted === undefined || port.name === wanted || port.path === wanted || port.path?.endsWith(`/${wanted}`) === true;
  const found = ports.filter(isNamed);
  if (found.length === 1) return found[0]!;
  const names = ports.map(({ name, path, topic }) => name ?? path ?? topic).join(', ');
  const there = ports.length === 0 ? 'the configuration has no serial ports' : `there are ${names}`;
  const what = wanted === undefined ? 'say which port by --port' : `--port ${wanted} is no port, or several`;
  throw new HeadwaterError('USAGE', `${what}: ${there}`);
}

function bytesOfHex(text: string): Buffer {
  const digits = text.replaceAll(/[\s:-]|0x/g, '');
  if (/^([0-9a-f]{2})*$/i.test(digits)) return Buffer.from(digits, 'hex');
  throw new HeadwaterError('USAGE', `${JSON.stringify(text)} is not bytes in hex such as "01 ff"; --text takes text`);
}

function asJson(trial: Trial): string {
  const { value, ...rest } = trial;
  const isText = value !== undefined && trial.kind === 'record' && value.equals(Buffer.from(value.toString()));
  const shown = value === undefined ? {} : isText ? { value: value.toString() } : { valueHex: value.toString('hex') };
  return `${JSON.stringify({ ...rest, ...shown })}\n`;
}

function asText({ kind, topic, key, value, timestampMs, headers, reason }: Trial): string {
  if (kind === 'heading') return 'a line of headings: counted, and no record\n';
  const time = timestampMs === undefined ? '' : new Date(timestampMs).toISOString();
  const shown = kind === 'record' ? String(value) : `${value?.toString('hex')} (${value?.length} bytes, as they came)`;
  const rows: [string, string][] = [
    ...(reason === undefined ? [] : [['does not fit', reason] as [string, string]]),
    ['topic', topic ?? ''],
    ['key', key ?? 'none'],
    ['time', time],
    ['value', shown],
    ...Object.entries(headers ?? {}).map(([name, text]): [string, string] => ['header', `${name}: ${text}`]),
  ];
  return `${rows.map(([name, text]) => `${`${name}:`.padEnd(14)}${text}`).join('\n')}\n`;
}
