// The settings of one serial port as the room wants them: bytes instead of text, units in the names. Their defaults and
// bounds are those of the configuration's schema; what is checked here is what one setting alone cannot tell.

import { basename } from 'node:path';
import type { SerialPort } from '../config.ts';
import { HeadwaterError } from '../errors.ts';
import type { FixedConfig, FrameConfig, LengthPrefixedConfig } from './frames.ts';
import type { LinesConfig } from './line-framing.ts';

export type { SerialPort } from '../config.ts';

/** What the operating system is told when the port is opened. */
export interface LineConfig {
  baud: number;
  dataBits: 5 | 6 | 7 | 8;
  parity: 'none' | 'even' | 'odd';
  stopBits: 1 | 2;
  flowControl: 'none' | 'rtscts' | 'xonxoff';
}

export interface PortConfig {
  /** In headers, keys, status and metrics. */
  name: string;
  path: string;
  /** Topic of the log that takes the records. */
  topic: string;
  line: LineConfig;
  framing: FramingConfig;
}

/** One for each framing; `kind` is its word in the configuration. */
export type FramingConfig = LinesConfig | FrameConfig;

/** All settings of all ports. Throws CONFIG_INVALID. */
export function portConfigs(configs: readonly SerialPort[]): PortConfig[] {
  const ports = configs.map(portConfig);
  for (const what of ['name', 'path'] as const) {
    const twice = ports.find((port, index) => ports.findIndex((other) => other[what] === port[what]) !== index);
    if (twice !== undefined) throw invalid(twice, `its ${what} ${twice[what]} is used by another port, too`);
  }
  return ports;
}

function portConfig(config: SerialPort): PortConfig {
  const { path, topic, baud, dataBits, parity, stopBits, flowControl } = config;
  const name = config.name ?? basename(path);
  const line = { baud, dataBits, parity, stopBits, flowControl };
  return { name, path, topic, line, framing: framingConfig(config) };
}

type Word = SerialPort['framing'];
type Of<K extends Word> = Extract<SerialPort, { framing: K }>;

/** How the settings of each framing are made of what people wrote. Where one is missing, this does not compile. */
const FRAMING_CONFIGS: { [K in Word]: (config: Of<K>) => FramingConfig } = {
  lines: linesConfig,
  delimited: ({ delimiter, frameMax, overlong }) => ({
    kind: 'delimited',
    delimiter,
    frameBytesMax: frameMax,
    overlong,
  }),
  fixed: fixedConfig,
  'length-prefixed': lengthPrefixedConfig,
  'idle-gap': ({ gap, frameMax, overlong }) => ({ kind: 'idle-gap', idleMs: gap, frameBytesMax: frameMax, overlong }),
};

function framingConfig(config: SerialPort): FramingConfig {
  return (FRAMING_CONFIGS[config.framing] as (config: SerialPort) => FramingConfig)(config);
}

function linesConfig(config: Of<'lines'>): LinesConfig {
  const { encoding, invalid: whenInvalid, lineMax, overlong, key } = config;
  const delimiter = Buffer.from(config.delimiter, encoding === 'latin1' ? 'latin1' : 'utf8');
  if (delimiter.length > 16) throw invalid(config, 'its delimiter has more than 16 bytes');
  return {
    kind: 'lines',
    delimiter,
    encoding,
    invalid: whenInvalid,
    lineBytesMax: lineMax,
    overlong,
    key: key ?? 'name',
  };
}

function fixedConfig(config: Of<'fixed'>): FixedConfig {
  const { length, sync = Buffer.alloc(0), idle } = config;
  if (sync.length > length) throw invalid(config, `${sync.length} sync bytes do not fit into its length of ${length}`);
  return { kind: 'fixed', length, sync, idleMs: idle };
}

function lengthPrefixedConfig(config: Of<'length-prefixed'>): LengthPrefixedConfig {
  const { lengthBytes, endian, lengthOffset, lengthAdjust, header, sync = Buffer.alloc(0), frameMax, idle } = config;
  if (sync.length > lengthOffset) {
    throw invalid(
      config,
      `${sync.length} sync bytes do not fit before its length, whose lengthOffset is ${lengthOffset}`,
    );
  }
  if (lengthOffset + lengthBytes > frameMax)
    throw invalid(config, `its frameMax of ${frameMax} has no room for a header`);
  return {
    kind: 'length-prefixed',
    lengthBytes,
    endian,
    lengthOffset,
    lengthAdjust,
    header,
    sync,
    frameBytesMax: frameMax,
    idleMs: idle,
  };
}

function invalid({ path }: { path: string }, what: string): HeadwaterError {
  return new HeadwaterError('CONFIG_INVALID', `serial port ${JSON.stringify(path)}: ${what}`);
}
