// `headwater serial list`: what is plugged in, who uses it, and the lines for the configuration. It opens no port, since
// that alone resets many boards.

import { stringify } from 'yaml';
import { listPlugged, type PluggedPort } from '../serial/serial.ts';
import { openDaemon, type Whereabouts } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { heldPort, nodePorts, type NodePort } from './serial-port.ts';
import { table, type Terminal } from './terminal.ts';

export interface ListOptions extends Whereabouts {
  output: 'text' | 'json';
}

interface Listed extends PluggedPort {
  /** The port of the running node that it is. */
  headwater?: { name: string; state: string };
}

/** `list` is for tests: what is plugged in instead of the machine's devices. */
export async function listSerial(
  options: ListOptions,
  terminal: Terminal,
  list: () => Promise<PluggedPort[]> = listPlugged,
): Promise<number> {
  const { out, err } = terminal;
  const daemon = openDaemon(options, terminal);
  try {
    const held = await nodePorts(daemon);
    const ports = await Promise.all((await list()).map((port) => listed(port, held)));
    out.write(options.output === 'json' ? `${JSON.stringify(ports)}\n` : render(ports));
    if (held === undefined && options.output === 'text') {
      err.write(`headwater: no node answers at ${daemon.url}, so it is not known which ports it would take\n`);
    }
    return EXIT.done;
  } finally {
    daemon.close();
  }
}

async function listed(port: PluggedPort, held: readonly NodePort[] | undefined): Promise<Listed> {
  const own = await heldPort(held, '', port.path);
  return { ...port, ...(own !== undefined && { headwater: { name: own.name, state: own.state } }) };
}

function render(ports: readonly Listed[]): string {
  if (ports.length === 0) return 'no serial device is plugged in\n';
  const rows = ports.map((port) => [port.name, deviceOf(port), usedBy(port)]);
  const free = ports.filter(({ headwater }) => headwater === undefined);
  const paste =
    free.length === 0
      ? ''
      : `\nfor headwater.yaml, with a topic of your choice:\n\n${stringify({ serial: free.map(settingsOf) })}`;
  return `${table([['PORT', 'DEVICE', 'USED BY'], ...rows])}${paste}`;
}

function deviceOf({ usb, driver }: Listed): string {
  if (usb === undefined) return driver ?? '-';
  const serial = usb.serial === undefined ? '' : ` serial ${usb.serial}`;
  return `${usb.vid}:${usb.pid}${serial}${usb.product === undefined ? '' : ` ${usb.product}`}`;
}

function usedBy({ headwater, users }: Listed): string {
  if (headwater !== undefined) return `headwater, as ${headwater.name} (${headwater.state})`;
  return users.length === 0 ? '-' : users.map(({ pid, command }) => `${command} (${pid})`).join(', ');
}

function settingsOf({ name, config, usb }: Listed): Record<string, unknown> {
  const topic = (usb?.product ?? name).toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return { ...config, topic: topic.replaceAll(/^-|-$/g, '') };
}
