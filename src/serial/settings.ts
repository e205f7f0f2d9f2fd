// The settings of one serial port as the room wants them: bytes instead of text, units in the names. Their defaults and
// bounds are those of the configuration's schema; what is checked here is what one setting alone cannot tell.

import { basename } from 'node:path';
import type { SerialPort } from '../config.ts';
import { HeadwaterError } from '../errors.ts';
import type { BridgeConfig } from './bridge/bridge.ts';
import { decodingConfig, type DecodingConfig } from './decode-settings.ts';
import type { FixedConfig, FrameConfig, LengthPrefixedConfig } from './frames.ts';
import type { LinesConfig } from './line-framing.ts';
import { modbusConfig, type ModbusConfig } from './modbus/settings.ts';
import { wordsOf, type UsbMatch } from './usb.ts';

export type { SerialPort } from '../config.ts';

/** What the operating system is told when the port is opened. */
export interface LineConfig {
  baud: number;
  dataBits: 5 | 6 | 7 | 8;
  parity: 'none' | 'even' | 'odd';
  stopBits: 1 | 2;
  flowControl: 'none' | 'rtscts' | 'xonxoff';
  /** Set when the port is opened; the kernel switches both on, and with `on` they are left so. */
  dtr: 'on' | 'off' | 'pulse';
  rts: 'on' | 'off';
  /** Whether the kernel switches them off when the port is closed. */
  hupcl: boolean;
}

export interface PortConfig {
  /** In headers, keys, status and metrics. */
  name: string;
  /** One of the two at least; with both, the device at the path must be that one. */
  path?: string;
  usb?: UsbMatch;
  /** Topic of the log that takes the records. */
  topic: string;
  line: LineConfig;
  framing: FramingConfig;
  decoding: DecodingConfig;
}

/** One for each framing; `kind` is its word in the configuration. */
export type FramingConfig = LinesConfig | FrameConfig | BridgeConfig | ModbusConfig;

/** All settings of all ports. Throws CONFIG_INVALID. */
export function portConfigs(configs: readonly SerialPort[]): PortConfig[] {
  const ports = configs.map(portConfig);
  refuseTwice(ports, 'name', ({ name }) => name);
  refuseTwice(ports, 'path', ({ path }) => path);
  refuseTwice(ports, 'device', ({ path, usb }) => (path === undefined && usb !== undefined ? wordsOf(usb) : undefined));
  refuseTwice(ports, 'topic of commands', ({ framing }) =>
    framing.kind === 'modbus-rtu' ? framing.commands?.topic : undefined,
  );
  return ports;
}

function refuseTwice(ports: PortConfig[], what: string, of: (port: PortConfig) => string | undefined): void {
  const all = ports.map(of);
  const index = all.findIndex((value, at) => value !== undefined && all.indexOf(value) !== at);
  if (index !== -1) throw invalid(ports[index]!, `its ${what} ${all[index]} is used by another port, too`);
}

function portConfig(config: SerialPort): PortConfig {
  const { path, usb, topic, baud, dataBits, parity, stopBits, flowControl, dtr, rts, hupcl } = config;
  if (path === undefined && usb === undefined) throw invalid(config, 'it has neither a path nor usb');
  if (flowControl === 'rtscts' && rts !== 'on') throw invalid(config, 'with flowControl: rtscts the kernel sets RTS');
  const line = { baud, dataBits, parity, stopBits, flowControl, dtr, rts, hupcl };
  return {
    name: config.name ?? nameOf(config),
    ...(path !== undefined && { path }),
    ...(usb !== undefined && { usb }),
    topic,
    line,
    framing: framingConfig(config),
    decoding: decodingConfig(config),
  };
}

function nameOf({ path, usb }: { path?: string; usb?: UsbMatch }): string {
  if (path !== undefined || usb === undefined) return basename(path ?? '');
  const parts = [usb.vid, usb.pid, usb.serial, usb.interface].filter((part) => part !== undefined);
  return `usb-${parts.join('-')}`.replaceAll(/[^\w.-]/g, '-').slice(0, 100);
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
  bridge: bridgeConfig,
  'modbus-rtu': (config) => modbusConfig(config, (what) => invalid(config, what)),
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

function bridgeConfig(config: Of<'bridge'>): BridgeConfig {
  const { key, devices, gaps, text, window, addresses, slack, commands, topic, baud } = config;
  const names = new Map(Object.entries(devices).map(([uid, name]) => [uid.toLowerCase(), name]));
  for (const uid of names.keys()) {
    if (!/^([0-9a-f]{2}){1,16}$/.test(uid)) throw invalid(config, `the device ${uid} is no uid: 1 to 16 bytes in hex`);
  }
  for (const name of names.values()) {
    if ([...names.values()].filter((other) => other === name).length > 1) {
      throw invalid(config, `two devices have the name ${name}`);
    }
  }
  return {
    kind: 'bridge',
    key,
    names,
    gapsTopic: gaps ?? `${topic}.gaps`,
    textTopic: text,
    // Who has a half-duplex line sends a whole window before the next one has it.
    window: window ?? (addresses === undefined ? 255 : 64),
    addresses: addresses === undefined ? undefined : [...new Set(addresses)],
    slackMs: slack,
    baud,
    commands:
      commands === undefined
        ? undefined
        : {
            topic: commands.topic,
            resultTopic: commands.results ?? `${commands.topic}.results`,
            ageMaxMs: commands.maxAge,
            timeoutMs: commands.timeout,
          },
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

function invalid(port: { name?: string; path?: string; usb?: UsbMatch }, what: string): HeadwaterError {
  const name = port.path ?? port.name ?? nameOf(port);
  return new HeadwaterError('CONFIG_INVALID', `serial port ${JSON.stringify(name)}: ${what}`);
}
