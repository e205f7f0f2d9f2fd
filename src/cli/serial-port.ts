// Which port a command means by PORT: one of the running node, by its name or its device; else one of the configuration,
// by its name; else a device, by its path or its name below /dev.

import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig, type SerialPort } from '../config.ts';
import { HeadwaterError, isHeadwaterError } from '../errors.ts';
import { openDaemon, type Daemon, type Whereabouts } from './daemon.ts';
import type { Terminal } from './terminal.ts';

export interface PortOptions extends Whereabouts {
  baud?: number;
}

/** A serial port as the node's /status shows it. */
export interface NodePort {
  name: string;
  path: string;
  state: string;
  framing: string;
}

export type FoundPort = { daemon: Daemon; name: string } | { port: SerialPort };

/** The daemon of a port that the node holds is the caller's to close. Throws USAGE, CONFIG_INVALID. */
export async function findPort(given: string, options: PortOptions, terminal: Terminal): Promise<FoundPort> {
  const path = given.includes('/') ? given : join('/dev', given);
  const daemon = openDaemon(options, terminal);
  const held = await heldPort(await nodePorts(daemon), given, path);
  if (held !== undefined) return { daemon, name: held.name };
  daemon.close();
  return { port: ownPort(given, path, options, terminal) };
}

/** The ports of the running node; undefined when none answers. */
export async function nodePorts(daemon: Daemon): Promise<NodePort[] | undefined> {
  try {
    const { rooms } = await daemon.getJson<{ rooms: { serial?: NodePort[] } }>('/status');
    return rooms.serial ?? [];
  } catch (error) {
    if (isHeadwaterError(error, 'NOT_REACHABLE')) return undefined;
    throw error;
  }
}

/** The port of the node that is meant by its name, or by any name of its device. */
export async function heldPort(
  ports: readonly NodePort[] | undefined,
  name: string,
  path: string,
): Promise<NodePort | undefined> {
  const target = await targetOf(path);
  for (const port of ports ?? []) {
    if (port.name === name || port.path === path || (await targetOf(port.path)) === target) return port;
  }
  return undefined;
}

function targetOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function ownPort(given: string, path: string, { config, baud }: PortOptions, { env }: Terminal): SerialPort {
  const file = config ?? env['HEADWATER_CONFIG'];
  const { serial } = loadConfig({ env, ...(file === undefined ? {} : { file }) });
  const known = serial.find((port) => port.name === given || port.path === given || port.path === path);
  if (known !== undefined) return baud === undefined ? known : { ...known, baud };
  const tree = { serial: [{ path, topic: 'record', ...(baud !== undefined && { baud }) }] };
  const [port] = loadConfig({ tree }).serial;
  if (port === undefined) throw new HeadwaterError('USAGE', `${given} is no port`);
  return port;
}
