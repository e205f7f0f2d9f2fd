// Settings of serial ports as the configuration makes them, with every default filled in.

import { loadConfig } from '../../src/config.ts';
import type { SerialPort } from '../../src/serial/settings.ts';

/** What people would write for one port. */
export type PortSettings = { path?: string; topic: string } & Record<string, unknown>;

/** Throws CONFIG_INVALID. */
export function serialPorts(...ports: PortSettings[]): SerialPort[] {
  return loadConfig({ tree: { serial: ports } }).serial;
}
