// Settings of serial ports as the configuration makes them, with every default filled in.

import { loadConfig } from '../../src/config.ts';
import type { SerialPort } from '../../src/serial/settings.ts';

/** What people would write for one port. */
export type PortSettings = { path?: string | undefined; topic: string } & Record<string, unknown>;

/** Settings that are undefined count as left out. Throws CONFIG_INVALID. */
export function serialPorts(...ports: PortSettings[]): SerialPort[] {
  const given = ports.map((port) =>
    Object.fromEntries(Object.entries(port).filter(([, value]) => value !== undefined)),
  );
  return loadConfig({ tree: { serial: given } }).serial;
}
