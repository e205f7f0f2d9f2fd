// The settings of one serial port: what the configuration may say, its defaults and bounds.

import { basename } from 'node:path';
import { HeadwaterError } from '../errors.ts';
import type { Overlong } from './lines.ts';

export interface SerialPortConfig {
  /** Best a name that stays the same when devices are plugged in another order: `/dev/serial/by-id/...`. */
  path: string;
  /** The port's name in headers, keys, status and metrics. Default: the last part of the path. */
  name?: string | undefined;
  /** Topic of the log that takes the lines. */
  topic: string;
  /** Default 115200. */
  baud?: number;
  /** Default 8. */
  dataBits?: 5 | 6 | 7 | 8;
  /** Default none. */
  parity?: 'none' | 'even' | 'odd';
  /** Default 1. */
  stopBits?: 1 | 2;
  /** Default none. Without it a device that sends while the card is slow overruns the kernel's buffer of some KiB. */
  flowControl?: 'none' | 'rtscts' | 'xonxoff';
  framing?: 'lines';
  /** Ends a line. Default "\n", with a "\r" before it taken off. */
  delimiter?: string;
  /** `utf8` (default): bytes as they come, see `invalid`. `latin1`: turned into UTF-8. `raw`: not looked at. */
  encoding?: 'utf8' | 'latin1' | 'raw';
  /** With `utf8`: `keep` (default, a damaged reading tells more than none) or `drop` lines that are not UTF-8. Counted. */
  invalid?: 'keep' | 'drop';
  /** Bound of one line, before its encoding is changed. Default 64 KiB, at most 256 KiB. */
  lineBytesMax?: number;
  /** What becomes of a longer line: `drop` it whole (default), or `cut` it into several. Counted either way. */
  overlong?: Overlong;
  /** The record's key: a field of the line, counted from 1, without spaces around it. Default: the port's name, also for a
   * line without that field. `none`: no key. */
  key?: { field: number; separator?: string } | 'none' | undefined;
}

export type PortConfig = Required<Omit<SerialPortConfig, 'name' | 'key' | 'framing' | 'delimiter'>> & {
  name: string;
  delimiter: Buffer;
  key: { field: number; separator: string } | 'name' | 'none';
};

const LINE_BYTES_MAX = 256 * 1024;

/** All settings of all ports, with their defaults. Throws CONFIG_INVALID. */
export function portConfigs(configs: readonly SerialPortConfig[]): PortConfig[] {
  const ports = configs.map(portConfig);
  for (const what of ['name', 'path'] as const) {
    const twice = ports.find((port, index) => ports.findIndex((other) => other[what] === port[what]) !== index);
    if (twice !== undefined) throw invalid(twice.path, `its ${what} ${twice[what]} is used by another port, too`);
  }
  return ports;
}

function portConfig(config: SerialPortConfig): PortConfig {
  const { path, topic } = config;
  const port: PortConfig = {
    path,
    topic,
    name: config.name ?? basename(path),
    baud: config.baud ?? 115_200,
    dataBits: config.dataBits ?? 8,
    parity: config.parity ?? 'none',
    stopBits: config.stopBits ?? 1,
    flowControl: config.flowControl ?? 'none',
    delimiter: Buffer.from(config.delimiter ?? '\n', config.encoding === 'latin1' ? 'latin1' : 'utf8'),
    encoding: config.encoding ?? 'utf8',
    invalid: config.invalid ?? 'keep',
    lineBytesMax: config.lineBytesMax ?? 64 * 1024,
    overlong: config.overlong ?? 'drop',
    key: keyOf(config),
  };
  check(port);
  return port;
}

function keyOf({ key }: SerialPortConfig): PortConfig['key'] {
  if (key === undefined) return 'name';
  return key === 'none' ? key : { field: key.field, separator: key.separator ?? ',' };
}

function check(port: PortConfig): void {
  const { path, baud, delimiter, lineBytesMax, key } = port;
  if (path === '') throw invalid(path, 'its path is empty');
  if (!(Number.isInteger(baud) && baud > 0)) throw invalid(path, `baud ${baud} is not a whole number above 0`);
  if (delimiter.length === 0 || delimiter.length > 16) throw invalid(path, 'its delimiter has not 1 to 16 bytes');
  if (!(Number.isInteger(lineBytesMax) && lineBytesMax >= 1 && lineBytesMax <= LINE_BYTES_MAX)) {
    throw invalid(path, `lineBytesMax ${lineBytesMax} is not from 1 to ${LINE_BYTES_MAX}`);
  }
  if (typeof key === 'string') return;
  if (!(Number.isInteger(key.field) && key.field >= 1)) throw invalid(path, `key field ${key.field} is not 1 or more`);
  if (key.separator === '') throw invalid(path, 'its key separator is empty');
}

function invalid(path: string, what: string): HeadwaterError {
  return new HeadwaterError('CONFIG_INVALID', `serial port ${JSON.stringify(path)}: ${what}`);
}
